//! The model as its ONNX file describes it: what goes in, what comes out, how much work a window is.

use std::collections::BTreeMap;

use rten::{ModelOptions, ValueView};
use rten_onnx::onnx::{DataType, GraphProto, ModelProto, ValueInfoProto};
use rten_tensor::Layout as _;

use super::{EngineError, Manifest, ModelPackage};
use crate::preprocess::Window;

/// Checks the package's ONNX files against its manifest, so that every engine refuses the same files for the same reasons.
///
/// # Errors
/// If a file is no ONNX model, or its input and outputs are not those that the manifest names or not in single precision.
pub fn fits(package: &ModelPackage) -> Result<(), EngineError> {
    let refuse = |reason: String| EngineError::Model { model: package.title(), reason };
    model_fits(package).map_err(refuse)?;
    let half = package.in_half_precision();
    half.map_or(Ok(()), |half| model_fits(&half)).map_err(|reason| refuse(format!("in half precision {reason}")))
}

fn model_fits(package: &ModelPackage) -> Result<(), String> {
    let graph = graph(package)?;
    has_the_input(&graph, &package.manifest)?;
    has_the_outputs(&graph, &package.manifest)
}

/// Multiplications and additions of all convolutions for one window. `None` if a convolution's kernel is no constant.
///
/// # Errors
/// If the file is no ONNX model or the embedded engine cannot run it.
pub fn operations_per_window(package: &ModelPackage) -> Result<Option<u64>, EngineError> {
    let refuse = |reason: String| EngineError::Model { model: package.title(), reason };
    let graph = graph(package).map_err(refuse)?;
    let kernels: BTreeMap<&str, u64> = graph
        .initializer
        .iter()
        .filter_map(|constant| {
            Some((
                constant.name.as_deref()?,
                constant.dims.iter().fold(1, |size: u64, n| size.saturating_mul(n.unsigned_abs())),
            ))
        })
        .collect();
    let convolutions: Option<Vec<(&str, u64)>> = graph
        .node
        .iter()
        .filter(|node| node.op_type.as_deref() == Some("Conv"))
        .map(|node| Some((node.output.first()?.as_str(), *kernels.get(node.input.get(1)?.as_str())?)))
        .collect();
    let Some(convolutions) = convolutions else { return Ok(None) };
    let planes = plane_sizes(package, convolutions.iter().map(|(output, _)| *output)).map_err(refuse)?;
    Ok(Some(convolutions.iter().zip(planes).map(|((_, kernel), plane)| 2 * kernel * plane).sum()))
}

/// Rows times columns of these values of the model, by running it on an empty window.
fn plane_sizes<'a>(package: &ModelPackage, values: impl Iterator<Item = &'a str>) -> Result<Vec<u64>, String> {
    // An optimised model no longer has all the values that the file names.
    let model = ModelOptions::with_all_ops()
        .enable_optimization(false)
        .load(package.weights().to_vec())
        .map_err(|error| error.to_string())?;
    let node = |name: &str| model.node_id(name).map_err(|error| error.to_string());
    let wanted = values.map(node).collect::<Result<Vec<_>, _>>()?;
    let window = Window::empty(&package.manifest.input);
    let input = ValueView::from_shape(window.shape(), window.values()).map_err(|error| error.to_string())?;
    let inputs = vec![(node(&package.manifest.input.name)?, input.into())];
    let values = model.run(inputs, &wanted, None).map_err(|error| error.to_string())?;
    let plane = |shape: &[usize]| shape.iter().skip(2).map(|n| *n as u64).product();
    Ok(values.iter().map(|value| plane(&value.shape())).collect())
}

fn graph(package: &ModelPackage) -> Result<GraphProto, String> {
    let model = ModelProto::parse_buf(package.weights()).map_err(|error| format!("it is no ONNX file ({error})"))?;
    model.graph.filter(|graph| !graph.node.is_empty()).ok_or_else(|| "it is no ONNX file (no graph in it)".to_owned())
}

fn has_the_input(graph: &GraphProto, manifest: &Manifest) -> Result<(), String> {
    let input = &manifest.input;
    let Some(declared) = named(&graph.input, &input.name) else {
        return Err(format!("it has no input {:?}, its inputs are {}", input.name, names(&graph.input)));
    };
    is_in_single_precision("input", declared)?;
    let dimensions = declared.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()?.shape.as_ref());
    let Some(dimensions) = dimensions else { return Ok(()) };
    let expected = [1, input.slabs as i64, input.rows as i64, input.columns as i64];
    // A dimension without a number is free.
    let fits = dimensions.dim.len() == expected.len()
        && dimensions.dim.iter().zip(expected).all(|(declared, n)| declared.dim_value.is_none_or(|value| value == n));
    if fits {
        return Ok(());
    }
    let size = |dimension: &rten_onnx::onnx::Dimension| {
        dimension.dim_value.map_or_else(|| dimension.dim_param.clone().unwrap_or_default(), |value| value.to_string())
    };
    let declared: Vec<String> = dimensions.dim.iter().map(size).collect();
    Err(format!(
        "its input {:?} is {}, a window of model.toml is 1 x {} x {} x {} (slabs, rows, columns)",
        input.name,
        declared.join(" x "),
        input.slabs,
        input.rows,
        input.columns
    ))
}

fn has_the_outputs(graph: &GraphProto, manifest: &Manifest) -> Result<(), String> {
    let outputs = &manifest.outputs;
    let wanted = [&outputs.lung, &outputs.lesion, &outputs.attention, &outputs.logit];
    for name in wanted {
        match named(&graph.output, name) {
            Some(declared) => is_in_single_precision("output", declared)?,
            None => return Err(format!("it has no output {name:?}, its outputs are {}", names(&graph.output))),
        }
    }
    Ok(())
}

/// Engines on a GPU are given buffers of `f32`, whose addresses carry no type.
fn is_in_single_precision(what: &str, declared: &ValueInfoProto) -> Result<(), String> {
    let kind = declared.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()?.elem_type);
    match kind {
        None | Some(DataType::FLOAT) => Ok(()),
        Some(_) => {
            Err(format!("its {what} {:?} is not in single precision", declared.name.as_deref().unwrap_or_default()))
        }
    }
}

fn named<'a>(values: &'a [ValueInfoProto], name: &str) -> Option<&'a ValueInfoProto> {
    values.iter().find(|value| value.name.as_deref() == Some(name))
}

fn names(values: &[ValueInfoProto]) -> String {
    let names: Vec<String> = values.iter().filter_map(|value| Some(format!("{:?}", value.name.as_ref()?))).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_model_fits_its_manifest_and_its_budget() {
        let package = ModelPackage::built_in().unwrap();
        fits(&package).unwrap();
        let operations = operations_per_window(&package).unwrap().unwrap();
        assert!((100_000_000..=1_500_000_000).contains(&operations), "{operations}");
        assert!(package.weights().len() <= 10_000_000);
    }

    #[test]
    fn a_model_whose_input_or_outputs_are_not_in_single_precision_does_not_fit() {
        let package = ModelPackage::built_in().unwrap();
        let whole = graph(&package).unwrap();
        let half = Some(DataType::FLOAT16);
        let mut with_half_input = whole.clone();
        let kind = with_half_input.input[0].r#type.as_mut().unwrap();
        kind.tensor_type.as_mut().unwrap().elem_type = half;
        let refused = has_the_input(&with_half_input, &package.manifest).unwrap_err();
        assert_eq!(refused, "its input \"window\" is not in single precision");
        let mut with_half_output = whole;
        let kind = with_half_output.output[1].r#type.as_mut().unwrap();
        kind.tensor_type.as_mut().unwrap().elem_type = half;
        let refused = has_the_outputs(&with_half_output, &package.manifest).unwrap_err();
        assert_eq!(refused, "its output \"lesion\" is not in single precision");
    }
}
