//! Whether TensorRT's own parser and builder take a network, on a machine without a GPU.
//!
//! `tensorrt-check FOLDER NETWORK single|half`: the folder of TensorRT-RTX's libraries, an ONNX file, and the precision in which
//! all its convolutions must compute. Its input and outputs must be in single precision either way.

use std::error::Error;
use std::path::PathBuf;

use trtx::{Builder, DataType, LayerType, LogHandler, Logger, NetworkDefinition, OnnxParser, Severity};

const LIBRARY: &str = "libtensorrt_rtx.so.1.7.1";
const PARSER: &str = "libtensorrt_onnxparser_rtx.so.1.7.1";

/// What the shipped network has.
const WINDOW: [i64; 4] = [1, 3, 256, 256];
const INPUTS: [&str; 1] = ["window"];
const OUTPUTS: [&str; 4] = ["attention", "lesion", "logit", "lung"];

struct Problems;

impl LogHandler for Problems {
    fn log(&self, severity: Severity, message: &str) {
        if matches!(severity, Severity::InternalError | Severity::Error | Severity::Warning) {
            eprintln!("TensorRT: {severity:?}: {message}");
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let [folder, file, precision]: [PathBuf; 3] = std::env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "expected FOLDER NETWORK single|half")?;
    let computed_in = match precision.to_str() {
        Some("single") => DataType::kFLOAT,
        Some("half") => DataType::kHALF,
        _ => return Err("the precision is single or half".into()),
    };
    trtx::dynamically_load_tensorrt(Some(folder.join(LIBRARY)))?;
    trtx::dynamically_load_tensorrt_onnxparser(Some(folder.join(PARSER)))?;
    let logger = Logger::new(Problems)?;
    let mut builder = Builder::new(&logger)?;
    let mut parser = OnnxParser::new(builder.create_network(0)?, &logger)?;
    parser.parse(&std::fs::read(&file)?)?;

    let network = parser.network_mut();
    let (mut inputs, mut outputs, mut tensors) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..network.nb_inputs() {
        inputs.push(network.input(at)?.name(network)?);
        tensors.push(network.input(at)?);
    }
    for at in 0..network.nb_outputs() {
        outputs.push(network.output(at)?.name(network)?);
        tensors.push(network.output(at)?);
    }
    outputs.sort();
    if inputs != INPUTS || outputs != OUTPUTS {
        return Err(format!("the parser sees the inputs {inputs:?} and the outputs {outputs:?}").into());
    }

    if tensors.iter().any(|tensor| tensor.data_type(network) != DataType::kFLOAT) {
        return Err("an input or output is not in single precision".into());
    }
    let convolutions = convolutions(network)?;
    if convolutions.is_empty() || convolutions.iter().any(|precision| *precision != computed_in) {
        return Err(format!("the convolutions compute in {convolutions:?}").into());
    }

    // The file leaves the batch open, a plan does not.
    network.input(0)?.set_dimensions(network, &WINDOW);
    let mut config = builder.create_config()?;
    let engine = builder.build_serialized_network(network, &mut config)?;
    println!(
        "TensorRT-RTX takes {}, {} convolutions in {} precision, and builds an engine of {} bytes",
        file.display(),
        convolutions.len(),
        precision.display(),
        engine.len()
    );
    Ok(())
}

/// The type of each convolution's output.
fn convolutions(network: &NetworkDefinition<'_>) -> Result<Vec<DataType>, Box<dyn Error>> {
    let mut types = Vec::new();
    for at in 0..network.nb_layers() {
        let layer = network.layer(at)?;
        if layer.layer_type_dynamic() == LayerType::kCONVOLUTION {
            types.push(layer.output(network, 0)?.data_type(network));
        }
    }
    Ok(types)
}
