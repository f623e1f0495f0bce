//! Whether TensorRT's own parser and builder take a network, on a machine without a GPU.
//!
//! `tensorrt-check FOLDER NETWORK`: the folder of TensorRT-RTX's libraries and an ONNX file.

use std::error::Error;
use std::path::PathBuf;

use trtx::{Builder, LogHandler, Logger, OnnxParser, Severity};

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
    let [folder, file]: [PathBuf; 2] = std::env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "expected FOLDER NETWORK")?;
    trtx::dynamically_load_tensorrt(Some(folder.join(LIBRARY)))?;
    trtx::dynamically_load_tensorrt_onnxparser(Some(folder.join(PARSER)))?;
    let logger = Logger::new(Problems)?;
    let mut builder = Builder::new(&logger)?;
    let mut parser = OnnxParser::new(builder.create_network(0)?, &logger)?;
    parser.parse(&std::fs::read(&file)?)?;

    let network = parser.network_mut();
    let mut inputs = Vec::new();
    for at in 0..network.nb_inputs() {
        inputs.push(network.input(at)?.name(network)?);
    }
    let mut outputs = Vec::new();
    for at in 0..network.nb_outputs() {
        outputs.push(network.output(at)?.name(network)?);
    }
    outputs.sort();
    if inputs != INPUTS || outputs != OUTPUTS {
        return Err(format!("the parser sees the inputs {inputs:?} and the outputs {outputs:?}").into());
    }

    // The file leaves the batch open, a plan does not.
    network.input(0)?.set_dimensions(network, &WINDOW);
    let mut config = builder.create_config()?;
    let engine = builder.build_serialized_network(network, &mut config)?;
    println!("TensorRT-RTX takes {} and builds an engine of {} bytes", file.display(), engine.len());
    Ok(())
}
