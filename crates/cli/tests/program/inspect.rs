//! What `inspect` says of models and tables.

use serde_json::Value;

use super::{Folder, classes, smooth};

fn shown(folder: &Folder, args: &[&str]) -> String {
    let ran = folder.run(["inspect"].iter().chain(args)).succeeded();
    assert_eq!(ran.stderr, "");
    assert!(!ran.stdout.contains(" \n") && ran.stdout.ends_with('\n'), "{}", ran.stdout);
    ran.stdout
}

fn json(folder: &Folder, file: &str) -> Value {
    serde_json::from_str(&shown(folder, &[file, "--json"])).unwrap()
}

fn sum(values: &Value, key: &str) -> f64 {
    values.as_array().unwrap().iter().map(|value| value[key].as_f64().unwrap()).sum()
}

#[test]
fn models_of_numbers() {
    let folder = Folder::with(smooth(60));
    let options = "--width 64 --ridge auto --metric diagonal --quiet --model m.safetensors";
    folder.fit(options).succeeded();
    let text = shown(&folder, &["m.safetensors"]);
    for part in [
        "model     m.safetensors: format 2, ",
        "target    y, regression; mean ",
        "network   width 64, 8 inputs, 1 output; scale ",
        "trained in f32, seed 0",
        "metric    ",
        "sureness  of 48 residuals of left-out rows 50% within ",
        "columns   2 numbers, 1 category",
        "category       3",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let model = json(&folder, "m.safetensors");
    assert_eq!((&model["kind"], &model["format"]), (&"model".into(), &2.into()));
    assert_eq!(model["bytes"].as_u64().unwrap(), folder.bytes("m.safetensors").len() as u64);
    assert_eq!(
        (&model["width"], &model["inputs"], &model["outputs"]),
        (&64.into(), &8.into(), &1.into())
    );
    assert_eq!(
        (&model["target"]["task"], &model["target"]["column"]),
        (&"regression".into(), &"y".into())
    );
    let columns = model["columns"].as_array().unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(sum(&model["columns"], "inputs"), 7.0);
    assert!((sum(&columns[2]["levels"], "share") - 1.0).abs() < 1e-12);
    // With a metric that tells inputs apart, the parts of all columns are everything.
    match model["metric"]["form"].as_str().unwrap() {
        "plain" => assert_eq!(columns[0].get("weight"), None),
        _ => assert!((sum(&model["columns"], "weight") - 1.0).abs() < 1e-12, "{model}"),
    }
    // About half the intervals of predict, whose ends each row that is left out moves a little.
    let ran = folder.run(["predict", "m.safetensors", "data.csv", "--interval", "0.9"]).succeeded();
    let half = |line: &str| {
        let row: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        0.5 * (row[2] - row[1])
    };
    let halves: Vec<f64> = ran.stdout.lines().skip(1).map(half).collect();
    let intervals = model["sureness"]["intervals"].as_array().unwrap();
    let at = intervals.iter().find(|interval| interval["level"] == 0.9).unwrap();
    let half = at["half_width"].as_f64().unwrap();
    let [least, most] =
        [f64::min, f64::max].map(|pick| halves.iter().copied().reduce(pick).unwrap());
    assert!(model["sureness"]["local"].is_boolean());
    assert!(0.8 * least <= half && half <= 1.25 * most, "{least} {half} {most}");
}

#[test]
fn models_of_classes() {
    let folder = Folder::with(classes(60));
    folder.fit("--width 64 --ridge 0.01 --quiet --model m.safetensors").succeeded();
    let text = shown(&folder, &["m.safetensors"]);
    for part in [
        "target    y, classification; 3 classes, parts of the training rows ",
        "3 outputs",
        "metric    none: inputs as they are",
        "ridge 0.01",
        "sureness  probabilities are the softmax of ",
        "columns   2 numbers\n",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let model = json(&folder, "m.safetensors");
    assert!((sum(&model["target"]["classes"], "share") - 1.0).abs() < 1e-12);
    assert!(model["sureness"]["sharpness"].as_f64().unwrap() > 0.0);
    assert_eq!(model["metric"], Value::Null);
    let constant = Folder::with("k,y\n7,1\n7,2\n7,3\n7,5\n");
    constant.fit("--width 16 --ridge 0.1 --quiet --model m.safetensors").succeeded();
    let text = shown(&constant, &["m.safetensors"]);
    assert!(
        text.contains("columns   none\n") && text.contains("all columns were constant"),
        "{text}"
    );
    let without = "--width 64 --ridge 0 --quiet --model n.safetensors";
    folder.fit(without).succeeded();
    assert!(shown(&folder, &["n.safetensors"]).contains("not known: the fit had no ridge"));
    assert_eq!(json(&folder, "n.safetensors")["sureness"], Value::Null);
}

/// What a column holds, and what a fit would make of it.
#[test]
fn tables() {
    let rows: String = (0..30).fold("a,c,k,id,odd\n".to_owned(), |table, i| {
        let odd = if i == 7 { "odd".to_owned() } else { i.to_string() };
        table + &format!("{},{},7,u{i},{odd}\n", i % 5, ["x", "y", "x"][i % 3])
    });
    let folder = Folder::with(rows);
    let text = shown(&folder, &["data.csv"]);
    for part in [
        "table     data.csv: 30 rows, ",
        "columns   2 numbers, 3 categories",
        "fit       6 inputs of these columns, less those of the target; constant, so dropped: k",
        "  a       number           5       2  0 to 4, mean 2.000, spread 1.414\n",
        "  c       category         2       2  x (66.7%), y (33.3%)\n",
        "  k       number           1       0  7 alone\n",
        "  id      category        30       1  u0 (3.3%), u1 (3.3%), u10 (3.3%), and 27 more\n",
        "warning: column `odd` is read as categories because of `odd` on line 9",
        "warning: column `id` has 30 categories in 30 training rows",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(shown(&folder, &["data.csv", "--all"]).contains("u9 (3.3%)\n"));
    let table = json(&folder, "data.csv");
    assert_eq!(
        (&table["kind"], &table["rows"], &table["inputs"]),
        (&"table".into(), &30.into(), &7.into())
    );
    let column = |at: usize| &table["columns"][at];
    assert_eq!(
        (&column(0)["least"], &column(0)["most"], &column(0)["task"]),
        (&0.0.into(), &4.0.into(), &"regression".into())
    );
    assert_eq!(
        (&column(3)["distinct"], &column(3)["task"]),
        (&30.into(), &"classification".into())
    );
    assert_eq!(column(3)["levels"].as_array().unwrap().len(), 20);
    assert_eq!(column(2)["missing"], 0);
    assert_eq!(table["warnings"].as_array().unwrap().len(), 3);
}

/// Cells without a value are counted by column, and are neither numbers nor texts.
#[test]
fn missing_values_and_dates() {
    let rows: String = (0..30).fold("n,t,when\n".to_owned(), |table, i| {
        let (n, t) = (if i % 6 == 0 { "NA" } else { "1" }, if i % 10 == 0 { "?" } else { "x" });
        table
            + &format!("{}{n},{t},2024-02-{:02}\n", if n == "1" { i % 3 } else { 0 }, 1 + i % 29)
                .replace("0NA", "NA")
    });
    let folder = Folder::with(rows);
    let text = shown(&folder, &["data.csv"]);
    assert!(text.contains("columns   1 number, 1 date, 1 category"), "{text}");
    let table = json(&folder, "data.csv");
    let missing = |at: usize| table["columns"][at]["missing"].as_u64().unwrap();
    assert_eq!([missing(0), missing(1), missing(2)], [5, 3, 0]);
    assert_eq!(table["columns"][1]["distinct"], 1);
}

/// Long lists are cut, and say so.
#[test]
fn lists_are_short() {
    let names: Vec<String> = (0..32).map(|i| format!("c{i}")).collect();
    let row = |k: usize| (0..32).map(|i| ((i * k) % 7).to_string()).collect::<Vec<_>>().join(",");
    let folder = Folder::with(
        format!("{},y\n", names.join(","))
            + &(1..20).map(|k| format!("{},{k}\n", row(k))).collect::<String>(),
    );
    folder.fit("--width 16 --ridge 0.1 --quiet --model m.safetensors").succeeded();
    for file in ["data.csv", "m.safetensors"] {
        let short = shown(&folder, &[file]);
        let all = shown(&folder, &[file, "--all"]);
        assert!(short.contains("more: --all lists them\n") && !short.contains("c31"), "{short}");
        assert!(all.contains("c31") && !all.contains("--all"), "{all}");
        assert!(json(&folder, file)["columns"].as_array().unwrap().len() > 20);
    }
}

/// A file's content says what it is; what is neither is an error that says so.
#[test]
fn content_tells_models_from_tables() {
    let folder = Folder::with(smooth(30));
    folder.fit("--width 16 --quiet --model m.safetensors").succeeded();
    folder.run(["export", "m.safetensors", "-o", "m.onnx"]).succeeded();
    folder.write("table.safetensors", smooth(5));
    folder.write("model.csv", folder.bytes("m.safetensors"));
    assert_eq!(json(&folder, "table.safetensors")["kind"], "table");
    assert_eq!(json(&folder, "model.csv")["kind"], "model");
    folder.write("cut.safetensors", &folder.bytes("m.safetensors")[..300]);
    folder.write("empty", "");
    folder.write("ragged.csv", "a,b\n1\n");
    for (file, part) in [
        ("m.onnx", "`m.onnx` is neither a model that fit wrote nor a table"),
        (
            "cut.safetensors",
            "`cut.safetensors` is not a usable model: not a complete safetensors file",
        ),
        ("empty", "`empty` is empty, expected a header and rows"),
        ("ragged.csv", "line 2 has 1 field, expected 2"),
        ("none", "cannot read `none`"),
        (".", "cannot read `.`"),
    ] {
        let ran = folder.run(["inspect", file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{file}");
        assert!(ran.stderr.contains(part), "{file}: {}", ran.stderr);
    }
}

/// A table on standard input is what it is in a file, but for its name and size.
#[test]
fn tables_on_standard_input() {
    let folder = Folder::with(smooth(30));
    let of_file = json(&folder, "data.csv");
    let ran = folder.pipe(["inspect", "-", "--json"], &folder.bytes("data.csv")).succeeded();
    let mut found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(found["bytes"].is_null() && found["file"] == "standard input");
    (found["bytes"], found["file"]) = (of_file["bytes"].clone(), of_file["file"].clone());
    assert_eq!(found, of_file);
    let text = folder.pipe(["inspect", "-"], &folder.bytes("data.csv")).succeeded().stdout;
    assert!(text.starts_with("table     standard input: 30 rows\n"), "{text}");
}
