//! Wrong calls: exit code 2, a message that says what and where, and not a file touched.

use super::{Folder, SOLVERS, classes, smooth};

const OUTPUTS: &str = "--width 16 --model m.safetensors --report r.json --plot p.svg";

/// Runs a fit that must be refused: the message has all `parts`, old outputs stay as they were.
#[track_caller]
fn refused(folder: &Folder, options: &str, parts: &[&str]) {
    for old in ["m.safetensors", "r.json", "p.svg"] {
        folder.write(old, format!("an older {old}"));
    }
    let before = folder.contents();
    let ran = folder.fit(&format!("{OUTPUTS} {options}"));
    assert_eq!(ran.code, Some(2), "{options}: {}{}", ran.stdout, ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "{options}: no `{part}` in: {}", ran.stderr);
    }
    assert_eq!(ran.stdout, "");
    assert_eq!(folder.contents(), before, "{options}");
}

#[track_caller]
fn refused_table(table: impl AsRef<[u8]>, options: &str, parts: &[&str]) {
    refused(&Folder::with(table), options, parts);
}

#[test]
fn files_that_are_no_tables() {
    refused(&Folder::new(), "", &["data.csv", "cannot read"]);
    refused_table("", "", &["data.csv", "is empty"]);
    refused_table("\n\n", "", &["data.csv", "is empty"]);
    refused_table("a,y\n", "", &["data.csv", "has a header and no rows"]);
    refused_table(b"a,y\n1,2\n\xff,3\n", "", &["line 3", "not UTF-8"]);
    refused_table("a,y\n1,2\n1,2,3\n4,5\n", "", &["line 3", "3 fields", "expected 2"]);
    refused_table("a,y\n1,2\n1\n4,5\n", "", &["line 3", "1 field", "expected 2"]);
    refused_table("a,y\n1,2\n\"3,4\n5,6\n", "", &["line 3", "never closed"]);
    refused_table("a,a,y\n1,2,3\n2,3,4\n", "", &["columns 1 and 2", "`a`"]);
    refused_table(b"\x1f\x8b\x08broken", "", &["data.csv", "corrupt gzip"]);
}

#[test]
fn cells_that_cannot_be_used() {
    for bad in ["inf", "-Infinity", "1e999"] {
        let parts = [bad, "line 4", "not a finite number"];
        let with = |column| [parts.as_slice(), &[column]].concat();
        refused_table(format!("a,y\n1,2\n\n{bad},3\n4,5\n"), "", &with("column `a`"));
        refused_table(format!("a,y\n1,2\n\n3,{bad}\n4,5\n"), "", &with("column `y`"));
        // In a column of texts it is one.
        let texts = Folder::with(format!("a,y\nx,2\n\n{bad},3\nz,5\n"));
        texts.fit("--width 16 --ridge 0.1").succeeded();
    }
}

#[test]
fn targets_that_cannot_be_learnt() {
    refused_table(smooth(20).replace(",y\n", ",z\n"), "", &["no column `y`", "`z`"]);
    let table = "a,y\n1,2\n2,x\n3,4\n";
    refused_table(
        table,
        "--task regression",
        &["line 3", "column `y`", "`x`", "--task regression"],
    );
    refused_table("a,y\n1,7\n2,7\n3,7\n", "", &["target `y`", "`7`", "all 3 training rows"]);
    refused_table("a,y\n1,x\n2,x\n3,x\n", "", &["target `y`", "`x`", "all 3 training rows"]);
    refused_table("a,y\n1,2\n", "", &["1 row", "at least 2"]);
    refused_table("a,y\n1,2\n2,\n3,NA\n", "", &["1 row with a target", "at least 2"]);
    refused_table("a,y\n1,\n2,?\n", "", &["target `y` has no value in any row"]);
}

/// A target that varies, but not over the training rows: some seeds leave the odd row to the test.
#[test]
fn targets_constant_over_the_training_rows() {
    let folder = Folder::with("a,y\n1,5\n2,5\n3,5\n4,5\n5,5\n6,9\n");
    let options = |seed| format!("--width 16 --train-rows 2 --seed {seed} --quiet");
    let (wrong, fine): (Vec<u64>, Vec<u64>) =
        (0..20).partition(|&seed| folder.fit(&options(seed)).code == Some(2));
    assert!(!wrong.is_empty() && !fine.is_empty());
    let seed = format!("--train-rows 2 --seed {}", wrong[0]);
    refused(&folder, &seed, &["target `y`", "`5`", "all 2 training rows"]);
    assert!(fine.iter().all(|&seed| folder.fit(&options(seed)).code == Some(0)));
}

/// An option's message names the option and the value that it was given.
#[test]
fn options_out_of_range() {
    let folder = Folder::with(smooth(20));
    let cases = [
        ("--width", "0 1 7 -2 1e3 x 18446744073709551616"),
        ("--ridge", "-1 -0.001 inf -inf nan x"),
        ("--scale", "0 -1 inf nan x"),
        ("--tol", "0 -1e-8 inf nan x"),
        ("--test-fraction", "1 1.5 -0.1 nan x"),
        ("--train-rows", "0 1 21 -3 2.5"),
        ("--rows", "0 1 -5 x"),
        ("--max-steps", "0 -1 x"),
        ("--threads", "0 -1 x"),
        ("--seed", "-1 0.5 x"),
        ("--sketch-rows", "0 -1 x"),
        ("--solver", "lsqr CG -1"),
        ("--task", "ranking"),
        ("--precision", "f16"),
        ("--signs", "hadamard"),
    ];
    for (option, values) in cases {
        for value in values.split(' ') {
            let options = format!("{option} {value}");
            // The first of two widths is not this test's.
            let options =
                if option == "--width" { options } else { format!("--width 16 {options}") };
            let ran = folder.fit(&options);
            assert_eq!(ran.code, Some(2), "{options}: {}", ran.stderr);
            for part in [option, value] {
                assert!(ran.stderr.contains(part), "{options}: no `{part}` in: {}", ran.stderr);
            }
            assert_eq!(ran.stdout, "");
        }
    }
    refused(&folder, "--ridge -1", &["'-1'", "--ridge", "at least 0"]);
    refused(&folder, "--solver lsqr", &SOLVERS);
    refused(&folder, "--train-rows 10 --test-fraction 0.5", &["--train-rows", "--test-fraction"]);
    refused(&folder, "--bogus", &["--bogus"]);
}

#[test]
fn more_than_any_machine_holds() {
    let folder = Folder::with(smooth(20));
    for width in ["100000000000000", "18446744073709551614"] {
        let ran = folder.fit(&format!("--width {width} --model m.safetensors"));
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains("--width") && ran.stderr.contains(width), "{}", ran.stderr);
    }
    assert_eq!(folder.contents().len(), 1);
}

/// Paths are checked first, so even a wrong table is not looked at.
#[test]
fn outputs_that_cannot_be_written() {
    let folder = Folder::with("not\na,table\n");
    let before = folder.contents();
    let says = |options: &str, parts: &[&str]| {
        let ran = folder.fit(options);
        assert_eq!(ran.code, Some(2), "{options}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{options}: no `{part}` in: {}", ran.stderr);
        }
        assert_eq!(folder.contents(), before);
        assert!(!folder.path("no").exists());
    };
    says("--model no/such/m.safetensors", &["--model", "no/such", "no folder"]);
    says("--report no/r.json", &["--report", "no/r.json", "no folder"]);
    says("--plot no/p.svg", &["--plot", "no/p.svg", "no folder"]);
    says("--plot p.pdf", &["--plot", "p.pdf", ".svg or .png"]);
    says("--plot p", &["--plot", ".svg or .png"]);
    says("--model .", &["--model", "is a folder"]);
    says("--model new/", &["--model", "new/", "is a folder"]);
    says(&format!("--report {}", "x".repeat(300)), &["--report", "cannot write"]);
    if cfg!(target_os = "linux") {
        // Nobody can make a file there.
        says("--model /proc/m.safetensors", &["--model", "/proc/m.safetensors", "cannot write"]);
    }
    for option in ["--model", "--report", "--checkpoint"] {
        says(&format!("{option} -"), &[option, "`./-`", "`/dev/stdout`"]);
    }
    says("--plot -", &["--plot", "`-`", ".svg or .png"]);
    says("--model data.csv", &["--model", "also the table"]);
    says("--model out --report ./out", &["--report", "also --model"]);
    // One good path does not help.
    says("--model m.safetensors --report no/r.json", &["--report"]);
}

#[test]
fn predictions_that_cannot_be_made() {
    let folder = Folder::with(classes(30));
    folder.fit("--width 16 --quiet --model m.safetensors").succeeded();
    let model = folder.bytes("m.safetensors");
    folder.write("cut.safetensors", &model[..model.len() / 2]);
    folder.write("foreign.csv", "a,z\n1,2\n");
    folder.write("text.csv", "a,b\n1,2\n3,four\n");
    folder.write("infinite.csv", "a,b\n1,2\n3,inf\n");
    folder.write("header.csv", "a,b\n");
    folder.write("out.csv", "older predictions");
    let before = folder.contents();
    let says = |call: &str, parts: &[&str]| {
        let ran = folder.run(["predict"].into_iter().chain(call.split(' ')));
        assert_eq!(ran.code, Some(2), "{call}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{call}: no `{part}` in: {}", ran.stderr);
        }
        assert_eq!(ran.stdout, "");
        assert_eq!(folder.contents(), before, "{call}");
    };
    says("none.safetensors data.csv -o out.csv", &["none.safetensors", "cannot read"]);
    says("cut.safetensors data.csv -o out.csv", &["cut.safetensors", "not a usable model"]);
    says("data.csv data.csv -o out.csv", &["data.csv", "not a usable model"]);
    says("m.safetensors none.csv -o out.csv", &["none.csv", "cannot read"]);
    says("m.safetensors foreign.csv -o out.csv", &["lacks columns", "`b`"]);
    says("m.safetensors text.csv -o out.csv", &["line 3", "column `b`", "`four`"]);
    says("m.safetensors infinite.csv -o out.csv", &["line 3", "column `b`", "`inf`"]);
    says("m.safetensors header.csv -o out.csv", &["header.csv", "no rows"]);
    says("m.safetensors data.csv -o no/out.csv", &["--output", "no/out.csv", "no folder"]);
    says("m.safetensors data.csv -o data.csv", &["--output", "also the table"]);
    says("m.safetensors data.csv -o m.safetensors", &["--output", "also the model"]);
    says("m.safetensors data.csv -o -", &["--output", "`./-`", "`/dev/stdout`"]);
    says("m.safetensors", &["DATA"]);
}

/// A target that is no number and no class: a cell among numbers, or a text for each row, unless they are called classes.
#[test]
fn targets_that_are_neither() {
    let rows = |cell: &dyn Fn(usize) -> String| -> String {
        (0..60).fold("a,y\n".to_owned(), |table, i| table + &format!("{},{}\n", i % 7, cell(i)))
    };
    let stray = rows(&|i| if i == 9 { "-".into() } else { i.to_string() });
    let says = ["line 11", "`y`", "`-`", "59 of its 60 cells", "--task classification"];
    refused_table(&stray, "", &says);
    let texts = rows(&|i| format!("t{i}"));
    refused_table(&texts, "", &["`y`", "60 different texts in 60 rows", "--task classification"]);
    for table in [stray, texts] {
        let folder = Folder::with(table);
        folder.fit("--width 16 --task classification --ridge 0.1").succeeded();
    }
}

/// A solver that is asked for may have neither rows of a sketch nor a rank.
#[test]
fn sketches_are_for_solvers_that_have_one() {
    let folder = Folder::with(smooth(30));
    for solver in ["cholesky", "arc-cosine", "cg"] {
        let words = ["`--sketch-rows`", &format!("`--solver` is {solver}")];
        refused(&folder, &format!("--sketch-rows 8 --solver {solver}"), &words);
        let call = ["plan", "data.csv", "--target", "y", "--sketch-rows", "8", "--solver", solver];
        let ran = folder.run(call);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{solver}");
        assert!(ran.stderr.contains(words[0]) && ran.stderr.contains(words[1]), "{}", ran.stderr);
    }
    for solver in ["auto", "srht", "tensor-srht", "rp-cholesky", "rp-gram", "nystrom"] {
        folder.fit(&format!("--width 16 --sketch-rows 8 --solver {solver}")).succeeded();
    }
}

/// Before anything is learned or written.
#[test]
fn orthogonal_signs_have_patterns() {
    // Nine classes, of which sixteen pairs of patterns come.
    let row = |i: usize| format!("{},{},c{}\n", i * 37 % 101, i * 53 % 97, i % 9);
    let table = "a,b,y\n".to_owned() + &(0..90).map(row).collect::<String>();
    let words = ["width is 16", "orthogonal signs"];
    refused_table(table, "--signs orthogonal --ridge 0.1 --checkpoint c", &words);
}

/// `plan` refuses what `fit` refuses.
#[test]
fn plans_that_cannot_be_made() {
    let folder = Folder::with("a,y\n1,7\n2,7\n");
    let before = folder.contents();
    for (options, part) in [
        ("--target y", "all 2 training rows"),
        ("--target z", "no column `z`"),
        ("--target y --width 3", "--width"),
        ("--target y --model no/m", "--model"),
        ("--target y --report no/r.json", "--report"),
    ] {
        let ran = folder.run(["plan", "data.csv"].into_iter().chain(options.split(' ')));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{options}");
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert_eq!(folder.contents(), before);
}
