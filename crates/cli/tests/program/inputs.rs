//! Tables in every form that the program reads, each from the fit to predictions.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Folder, Predicted, smooth};

const FIT: &str = "--width 64 --ridge 0.01 --quiet --model m.safetensors";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Model and predictions are those of the same table with commas, to the byte.
#[test]
fn tabs_semicolons_and_standard_input() {
    let table = smooth(40);
    let folder = Folder::with(&table);
    let call = |data: &'static str, options: &'static str| {
        ["fit", data, "--target", "y"].into_iter().chain(options.split(' '))
    };
    let fitted = |run: &dyn Fn() -> super::Ran| {
        run().succeeded();
        folder.bytes("m.safetensors")
    };
    let model = fitted(&|| folder.run(call("data.csv", FIT)));
    let predicted = folder.run(["predict", "m.safetensors", "data.csv"]).succeeded().stdout;
    for divided in [table.clone(), table.replace(',', "\t"), table.replace(',', ";")] {
        for bytes in [divided.clone().into_bytes(), gzip(divided.as_bytes())] {
            folder.write("other", &bytes);
            assert!(fitted(&|| folder.run(call("other", FIT))) == model);
            assert!(fitted(&|| folder.pipe(call("-", FIT), &bytes)) == model);
            let predict = |data: &str| folder.pipe(["predict", "m.safetensors", data], &bytes);
            assert_eq!(predict("other").succeeded().stdout, predicted);
            assert_eq!(predict("-").succeeded().stdout, predicted);
        }
    }
    assert_eq!(Predicted::parse(&predicted).rows(), 40);
    let plan = folder.pipe(call("-", "--width 64 --ridge 0.01"), table.as_bytes()).succeeded();
    assert!(plan.stdout.contains("for the target y"), "{}", plan.stdout);
    assert!(plan.stderr.contains("standard input: 40 rows"), "{}", plan.stderr);
    let plan = folder.pipe(["plan", "-", "--target", "y", "--width", "64"], table.as_bytes());
    assert!(plan.succeeded().stdout.contains("standard input: 40 rows"));
}

#[test]
fn standard_input_that_is_no_table() {
    let folder = Folder::new();
    for (input, part) in [
        (&b""[..], "`standard input` is empty"),
        (b"a\ty\n1\t2\n3\n", "line 3 has 1 field, expected 2 as in the header; tabs divide"),
        (b"\x1f\x8b\x08", "`standard input`, which is truncated or corrupt gzip"),
    ] {
        let ran = folder.pipe(["fit", "-", "--target", "y"], input);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}
