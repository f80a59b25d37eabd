//! Models as ONNX files. What other programs make of them is for `cargo xtask onnx`.

use super::{Folder, classes, smooth};

/// The file is an ONNX graph with the columns by name, the same for the same model, and all that is
/// written; nothing is printed.
#[test]
fn models_are_exported_whole() {
    let cases =
        [(smooth(40), &["numbers", "categories", "prediction", r#"["a","b"]"#, r#"["c"]"#][..])];
    let sure = ["scores", "probabilities", "label", r#"["p","q","r"]"#];
    for (table, parts) in cases.into_iter().chain([(classes(60), &sure[..])]) {
        let folder = Folder::with(table);
        folder.fit("--width 32 --ridge 0.01 --quiet --model m.safetensors").succeeded();
        for name in ["m.onnx", "n.onnx"] {
            let ran = folder.run(["export", "m.safetensors", "-o", name]).succeeded();
            assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
        }
        assert_eq!(folder.contents().len(), 4);
        let bytes = folder.bytes("m.onnx");
        // IR version 7, then the producer.
        assert_eq!(bytes[..11], *b"\x08\x07\x12\x07nearlin");
        assert_eq!(bytes, folder.bytes("n.onnx"));
        let text = String::from_utf8_lossy(&bytes);
        for part in parts {
            assert!(text.contains(part), "{part}");
        }
    }
}

/// Nothing is written, and an older file stays, when the call is wrong.
#[test]
fn wrong_calls_write_nothing() {
    let folder = Folder::with(smooth(30));
    folder.fit("--width 16 --quiet --model m.safetensors").succeeded();
    folder.write("old.onnx", "old");
    let before = folder.contents();
    for (args, part) in [
        (&["export", "m.safetensors"][..], "--output <OUT.onnx>"),
        (&["export", "m.safetensors", "-o", "m.safetensors"], "is also the model"),
        (&["export", "m.safetensors", "-o", "no/m.onnx"], "there is no folder `no`"),
        (&["export", "m.safetensors", "-o", "-"], "`/dev/stdout`"),
        (&["export", "data.csv", "-o", "old.onnx"], "`data.csv` is not a usable model"),
        (&["export", "none", "-o", "old.onnx"], "cannot read `none`"),
    ] {
        let ran = folder.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(ran.stderr.contains(part), "{args:?}: {}", ran.stderr);
        assert!(folder.contents() == before, "{args:?}");
    }
}
