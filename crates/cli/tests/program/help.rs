//! What the program says about itself.

use super::Folder;

const OPTIONS: [&str; 24] = [
    "--target",
    "--task",
    "--width",
    "--ensemble",
    "--scale",
    "--solver",
    "--ridge",
    "--ridge-rows",
    "--metric",
    "--tol",
    "--max-steps",
    "--rows",
    "--train-rows",
    "--test-fraction",
    "--seed",
    "--precision",
    "--signs",
    "--sketch-rows",
    "--threads",
    "--model",
    "--report",
    "--plot",
    "--ridge-plot",
    "--importance-plot",
];

#[test]
fn without_arguments_it_shows_help() {
    let ran = Folder::new().run([""; 0]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    for part in ["Usage: nearlin", "fit", "predict", "plan", "export", "inspect", "Examples:"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

/// Every option has a line of its own with a default, but the target, which is required.
#[test]
fn help_explains_every_option() {
    for command in ["fit", "plan"] {
        let ran = Folder::new().run([command, "--help"]).succeeded();
        let help: String = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("Examples:") && help.contains("--quiet Print nothing"), "{help}");
        for (i, option) in OPTIONS.into_iter().enumerate() {
            let start = help.find(&format!(" {option} <")).unwrap_or_else(|| panic!("{option}"));
            let next = OPTIONS.get(i + 1).unwrap_or(&"--quiet");
            let end = start + help[start..].find(&format!(" {next}")).unwrap();
            assert_eq!(help[start..end].contains("[default:"), option != "--target", "{option}");
        }
        for part in [
            "auto, cholesky, srht, tensor-srht, arc-cosine, rp-cholesky, rp-gram, nystrom, cg",
            "auto|SIGMA",
            "auto|M",
            "auto takes 4096",
        ] {
            assert!(help.contains(part), "{help}");
        }
        for default in ["auto", "50", "0.2", "0", "all cores"] {
            assert!(help.contains(&format!("[default: {default}]")), "{default}: {help}");
        }
    }
    let help = Folder::new().run(["predict", "--help"]).succeeded().stdout;
    for part in ["<MODEL>", "<DATA>", "-o, --output", "standard output", "Examples:"] {
        assert!(help.contains(part), "{help}");
    }
    let help = Folder::new().run(["export", "--help"]).succeeded().stdout;
    for part in ["<MODEL>", "-o, --output <OUT.onnx>", "numbers", "Examples:"] {
        assert!(help.contains(part), "{help}");
    }
    let help = Folder::new().run(["inspect", "--help"]).succeeded().stdout;
    for part in ["<FILE>", "--json", "--all", "Examples:"] {
        assert!(help.contains(part), "{help}");
    }
}

#[test]
fn version() {
    let ran = Folder::new().run(["--version"]).succeeded();
    assert_eq!(ran.stdout, format!("nearlin {}\n", env!("CARGO_PKG_VERSION")));
}
