//! The body of a peer process that runs one GStreamer pipeline and counts the frames that reach its element `end`.

use std::path::PathBuf;

use clap::Args;
use gst::prelude::*;

use super::console::{Console, Meter};
use super::source;
use crate::contender::Error;

/// Name of the last element of a pipeline.
pub(super) const END: &str = "end";

#[derive(Debug, Args)]
pub(super) struct PipelineArgs {
    /// Load this plugin too
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    /// Pipeline in the words of gst-launch-1.0
    launch: String,
}

/// Runs it until standard input ends.
#[expect(clippy::disallowed_methods, reason = "the line is the benchmark's own")]
pub(super) fn run(args: &PipelineArgs) -> Result<(), Error> {
    gst::init()?;
    source::register()?;
    if let Some(file) = &args.plugin {
        gst::Plugin::load_file(file)?;
    }
    let pipeline = gst::parse::launch(&args.launch)?
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline of several elements")?;
    let (console, meter) = Console::new();
    report_faults(&pipeline, &meter)?;
    count(&pipeline, &meter)?;
    pipeline.set_state(gst::State::Playing)?;
    console.serve(&meter)?;
    // May hang where the transport does; whoever started this process ends it then.
    pipeline.set_state(gst::State::Null)?;
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct LookArgs {
    /// Elements to look for
    elements: Vec<String>,
}

/// Prints the version of GStreamer and which of some elements it has, one a line.
pub(super) fn look(args: &LookArgs) -> Result<(), Error> {
    gst::init()?;
    println!("{}", gst::version_string());
    for name in &args.elements {
        if let Some(factory) = gst::ElementFactory::find(name) {
            // The registry may name a plugin that does not load here.
            if factory.load().is_ok() {
                println!("{name}");
            }
        }
    }
    Ok(())
}

fn report_faults(pipeline: &gst::Pipeline, meter: &Meter) -> Result<(), Error> {
    let bus = pipeline.bus().ok_or("a pipeline without a bus")?;
    let meter = meter.clone();
    bus.set_sync_handler(move |_, message| {
        match message.view() {
            gst::MessageView::Error(fault) => {
                meter.failed(&format!("{} ({:?})", fault.error(), fault.debug()));
            }
            gst::MessageView::Eos(_) => meter.failed(&"the stream ended"),
            _ => (),
        }
        gst::BusSyncReply::Drop
    });
    Ok(())
}

fn count(pipeline: &gst::Pipeline, meter: &Meter) -> Result<(), Error> {
    let end = pipeline
        .by_name(END)
        .ok_or("the pipeline has no element `end`")?;
    let pad = end.static_pad("sink").ok_or("`end` is no sink")?;
    let meter = meter.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        meter.frame();
        gst::PadProbeReturn::Ok
    })
    .ok_or("the probe was not taken")?;
    Ok(())
}
