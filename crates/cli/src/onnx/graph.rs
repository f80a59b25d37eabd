//! A graph that grows node by node.

use super::proto::{
    AttributeProto, DOUBLE, DimensionProto, GraphProto, INT64, NodeProto, STRING, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The domain of operators on categories.
pub(super) const ML: &str = "ai.onnx.ml";

/// A graph under construction. Every method gives the name of what it adds, which is the one it is told.
#[derive(Debug)]
pub(super) struct Graph(GraphProto);

impl Graph {
    pub(super) fn new(name: &str) -> Self {
        Self(GraphProto { name: name.into(), ..GraphProto::default() })
    }

    /// An input of `n` rows and `columns`.
    pub(super) fn input(&mut self, name: &str, elem_type: i32, columns: usize) -> String {
        self.0.input.push(value(name, elem_type, Some(columns)));
        name.into()
    }

    /// Makes the value called `name` an output of `n` rows; without `columns` it is a vector.
    pub(super) fn output(&mut self, name: &str, elem_type: i32, columns: Option<usize>) {
        self.0.output.push(value(name, elem_type, columns));
    }

    /// A constant of `dims`, row-major; `[]` for a scalar.
    pub(super) fn doubles(
        &mut self,
        name: &str,
        dims: &[usize],
        data: impl IntoIterator<Item = f64>,
    ) -> String {
        let data = data.into_iter().flat_map(f64::to_le_bytes).collect();
        self.constant(TensorProto { raw_data: Some(data), ..tensor(name, dims, DOUBLE) })
    }

    /// A constant of whole numbers.
    pub(super) fn integers(&mut self, name: &str, dims: &[usize], data: &[i64]) -> String {
        let data = data.iter().flat_map(|i| i.to_le_bytes()).collect();
        self.constant(TensorProto { raw_data: Some(data), ..tensor(name, dims, INT64) })
    }

    /// A vector of texts.
    pub(super) fn texts(&mut self, name: &str, texts: &[String]) -> String {
        let string_data = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        self.constant(TensorProto { string_data, ..tensor(name, &[texts.len()], STRING) })
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let name = tensor.name.clone();
        self.0.initializer.push(tensor);
        name
    }

    /// An operator with one output, called `name`.
    pub(super) fn op(&mut self, op_type: &str, inputs: &[&str], name: &str) -> String {
        self.op_with(op_type, inputs, name, Vec::new())
    }

    /// An operator with attributes.
    pub(super) fn op_with(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        name: &str,
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.0.node.push(NodeProto {
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            output: vec![name.into()],
            name: name.into(),
            op_type: op_type.into(),
            attribute,
            domain: if op_type == "LabelEncoder" { ML.into() } else { String::new() },
        });
        name.into()
    }

    pub(super) fn finish(self) -> GraphProto {
        self.0
    }
}

/// A size or an index; none is beyond `i64`.
pub(super) fn number(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn tensor(name: &str, dims: &[usize], data_type: i32) -> TensorProto {
    let dims = dims.iter().map(|&dim| number(dim)).collect();
    TensorProto { dims, data_type, name: name.into(), ..TensorProto::default() }
}

fn value(name: &str, elem_type: i32, columns: Option<usize>) -> ValueInfoProto {
    let rows = DimensionProto { dim_param: Some("n".into()), ..DimensionProto::default() };
    let columns = columns.map(|columns| DimensionProto {
        dim_value: Some(number(columns)),
        ..DimensionProto::default()
    });
    let shape = TensorShapeProto { dim: std::iter::once(rows).chain(columns).collect() };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto { elem_type, shape: Some(shape) }),
        }),
    }
}
