//! Camera controls: which a camera has, and setting them.
//!
//! libcamera's controls of a single value are properties of its element (`src/gstreamer/gstlibcamera-controls.cpp.in`, libcamera 0.4
//! and later; before, there are none). What they mean and their units are libcamera's (`control_ids_core.yaml`). The element has the
//! properties of every camera, of which it takes in silence also those that its camera lacks, so it is asked which it keeps.

use gst::glib;
use gst::prelude::*;
use mos_camera_core::control::check_controls;
use mos_camera_core::{Control, ControlKind, ControlValues, DeviceId, Fault, FaultKind, MenuItem};

use super::{ELEMENT, faults};
use crate::elements::make;

/// Real numbers are given in thousandths.
const THOUSANDTHS: u32 = 1000;

/// A control's smallest, largest and default value, in its parts, as far as they are told.
type Documented = (&'static str, Option<i64>, Option<i64>, Option<i64>);

/// What libcamera's documentation says of values.
const DOCUMENTED: [Documented; 9] = [
    ("ae_flicker_period", Some(0), None, None),
    ("analogue_gain", Some(1000), None, None),
    ("brightness", Some(-1000), Some(1000), None),
    ("contrast", Some(0), None, None),
    ("exposure_time", Some(0), None, None),
    ("gamma", Some(0), None, Some(2200)),
    ("lens_position", Some(0), None, None),
    ("saturation", Some(0), None, None),
    ("sharpness", Some(0), None, None),
];

/// The properties of an element that are controls of a single value. Its other properties can't be changed while it runs, which
/// their flags tell.
fn properties(element: &gst::Element) -> Vec<(Control, glib::ParamSpec)> {
    let own = element.type_();
    element
        .list_properties()
        .iter()
        .filter(|spec| spec.owner_type() == own)
        .filter(|spec| spec.flags().contains(gst::PARAM_FLAG_CONTROLLABLE))
        .filter_map(|spec| Some((describe(spec)?, spec.clone())))
        .collect()
}

/// A property as a control; none for those of several values (gains of colours, windows, matrices).
fn describe(spec: &glib::ParamSpec) -> Option<Control> {
    let name = spec.name().replace('-', "_");
    let documented = DOCUMENTED.iter().find(|(known, ..)| *known == name);
    let (_, min, max, default) = documented.copied().unwrap_or(("", None, None, None));
    let control = Control {
        name,
        kind: ControlKind::Integer,
        min: min.unwrap_or(i64::MIN),
        max: max.unwrap_or(i64::MAX),
        step: 1,
        divisor: 1,
        default,
        read_only: false,
    };
    Some(match spec.value_type() {
        glib::Type::BOOL => Control {
            kind: ControlKind::Boolean,
            min: 0,
            max: 1,
            ..control
        },
        glib::Type::I32 | glib::Type::I64 => control,
        glib::Type::U8 => Control {
            min: 0,
            max: i64::from(u8::MAX),
            ..control
        },
        glib::Type::F32 => Control {
            divisor: THOUSANDTHS,
            ..control
        },
        kind => {
            let items = menu(kind)?;
            let values = || items.iter().map(|item| item.value);
            Control {
                min: values().min()?,
                max: values().max()?,
                kind: ControlKind::Menu(items),
                ..control
            }
        }
    })
}

fn menu(kind: glib::Type) -> Option<Vec<MenuItem>> {
    let class = glib::EnumClass::with_type(kind)?;
    let item = |value: &glib::EnumValue| MenuItem {
        value: i64::from(value.value()),
        name: value.nick().to_owned(),
    };
    Some(class.values().iter().map(item).collect())
}

/// A control's number as the value of its property; none if that can't hold it.
fn to_value(spec: &glib::ParamSpec, number: i64) -> Option<glib::Value> {
    Some(match spec.value_type() {
        glib::Type::BOOL => (number != 0).to_value(),
        glib::Type::I32 => i32::try_from(number).ok()?.to_value(),
        glib::Type::I64 => number.to_value(),
        glib::Type::U8 => u8::try_from(number).ok()?.to_value(),
        glib::Type::F32 => real(number)?.to_value(),
        kind => glib::EnumClass::with_type(kind)?.to_value(i32::try_from(number).ok()?)?,
    })
}

fn real(number: i64) -> Option<f32> {
    let real = number as f64 / f64::from(THOUSANDTHS);
    (real.abs() <= f64::from(f32::MAX)).then_some(real as f32)
}

/// The value of a property as the number of its control.
fn to_number(value: &glib::Value) -> Option<i64> {
    match value.type_() {
        glib::Type::BOOL => value.get::<bool>().ok().map(i64::from),
        glib::Type::I32 => value.get::<i32>().ok().map(i64::from),
        glib::Type::I64 => value.get().ok(),
        glib::Type::U8 => value.get::<u8>().ok().map(i64::from),
        glib::Type::F32 => {
            let real = f64::from(value.get::<f32>().ok()?);
            Some((real * f64::from(THOUSANDTHS)).round() as i64)
        }
        _ => glib::EnumValue::from_value(value).map(|(_, value)| i64::from(value.value())),
    }
}

/// A number to try a control with. Not 0: that is what is read back of a control that the camera lacks.
fn trial(control: &Control) -> Option<i64> {
    match &control.kind {
        ControlKind::Menu(items) => items.iter().map(|item| item.value).find(|&v| v != 0),
        ControlKind::Boolean => Some(1),
        ControlKind::Integer => Some(i64::from(control.divisor)),
    }
}

/// The controls that an open element keeps the value of.
fn kept(element: &gst::Element, known: Vec<(Control, glib::ParamSpec)>) -> Vec<Control> {
    let all = known.len();
    let kept: Vec<_> = known
        .into_iter()
        .filter(|(control, spec)| keeps(element, control, spec))
        .map(|(control, _)| control)
        .collect();
    // Of a camera without any the element keeps whatever it is told: it does not ask. None has all.
    if kept.len() == all { Vec::new() } else { kept }
}

fn keeps(element: &gst::Element, control: &Control, spec: &glib::ParamSpec) -> bool {
    let Some(number) = trial(control) else {
        return false;
    };
    let Some(value) = to_value(spec, number) else {
        return false;
    };
    element.set_property_from_value(spec.name(), &value);
    to_number(&element.property_value(spec.name())) == Some(number)
}

/// The controls of a camera, which is opened for it and closed again; nothing reaches the sensor.
pub(super) fn list(device: &DeviceId, camera: &str) -> Result<Vec<Control>, Fault> {
    let element = make(ELEMENT)?;
    let known = properties(&element);
    if known.is_empty() {
        return Ok(Vec::new());
    }
    element.set_property("camera-name", camera);
    open(device, &element)?;
    let listed = {
        let _quiet = Quiet::new();
        kept(&element, known)
    };
    // Going down to NULL can't fail (GstElement's documentation).
    let _down = element.set_state(gst::State::Null);
    Ok(listed)
}

/// Has an element in no pipeline open its camera, or leaves it in NULL.
pub(super) fn open(device: &DeviceId, element: &gst::Element) -> Result<(), Fault> {
    let bus = gst::Bus::new();
    element.set_bus(Some(&bus));
    let opened = element.set_state(gst::State::Ready);
    element.set_bus(None);
    opened.map(drop).map_err(|_| {
        let _down = element.set_state(gst::State::Null);
        not_opened(device, &bus)
    })
}

fn not_opened(device: &DeviceId, bus: &gst::Bus) -> Fault {
    let message = bus.pop_filtered(&[gst::MessageType::Error]);
    match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => faults::classify(device, error),
        _ => Fault::new(
            FaultKind::Internal,
            format!("{device}: libcamera does not open it, and does not say why"),
            "the log of the service may say more, in lines of libcamera",
        ),
    }
}

/// Keeps the element from warning of each control that is tried and that the camera lacks.
struct Quiet(Option<(gst::DebugCategory, gst::DebugLevel)>);

impl Quiet {
    fn new() -> Self {
        // The element's file of controls names no category of its own.
        let category = gst::DebugCategory::get("default");
        Self(category.map(|category| {
            let before = category.threshold();
            category.set_threshold(before.min(gst::DebugLevel::Error));
            (category, before)
        }))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some((category, before)) = self.0.take() {
            category.set_threshold(before);
        }
    }
}

/// Refuses values that the camera does not take.
pub(super) fn check(
    device: &DeviceId,
    wanted: &ControlValues,
    offered: &[Control],
) -> Result<(), Fault> {
    check_controls(wanted, offered).map_err(|error| refused(device, &error.to_string()))
}

fn refused(device: &DeviceId, why: &str) -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        format!("{device}: {why}"),
        "change the stream's configuration; `mosctl devices` lists the camera's controls",
    )
}

/// Refuses numbers that the element's properties can't hold.
pub(super) fn fit(
    device: &DeviceId,
    element: &gst::Element,
    values: &ControlValues,
) -> Result<(), Fault> {
    values
        .iter()
        .try_for_each(|(name, &number)| value(device, element, name, number).map(drop))
}

/// The property of a control, and the value that it is to have.
fn value(
    device: &DeviceId,
    element: &gst::Element,
    name: &str,
    number: i64,
) -> Result<(String, glib::Value), Fault> {
    let property = name.replace('_', "-");
    let spec = element.find_property(&property);
    let value = spec.and_then(|spec| to_value(&spec, number));
    let value = value.ok_or_else(|| {
        refused(
            device,
            &format!("the control `{name}` can't be {number}: its property in libcamera's element does not hold that"),
        )
    })?;
    Ok((property, value))
}

/// Sets controls of an element whose camera is open. All of them go with the camera's next request.
///
/// To be called in the element's own thread: it does not lock what it keeps against that.
pub(super) fn set(
    device: &DeviceId,
    element: &gst::Element,
    values: &ControlValues,
) -> Result<(), Fault> {
    for (name, &number) in values {
        let (property, value) = value(device, element, name, number)?;
        element.set_property_from_value(&property, &value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(value: i64, name: &str) -> MenuItem {
        MenuItem {
            value,
            name: name.to_owned(),
        }
    }

    fn real_spec(name: &'static str) -> glib::ParamSpec {
        glib::ParamSpecFloat::builder(name)
            .minimum(-f32::MAX)
            .maximum(f32::MAX)
            .build()
    }

    #[test]
    fn properties_become_controls_with_what_is_documented() {
        gst::init().unwrap();
        let number = |name| glib::ParamSpecInt::builder(name).build();
        let (lowest, highest) = (i64::MIN, i64::MAX);
        for (spec, name, kind, range, divisor, default) in [
            (
                glib::ParamSpecBoolean::builder("ae-enable").build(),
                "ae_enable",
                ControlKind::Boolean,
                (0, 1),
                1,
                None,
            ),
            (
                number("exposure-time"),
                "exposure_time",
                ControlKind::Integer,
                (0, highest),
                1,
                None,
            ),
            (
                number("rpi-something"),
                "rpi_something",
                ControlKind::Integer,
                (lowest, highest),
                1,
                None,
            ),
            (
                glib::ParamSpecInt64::builder("long").build(),
                "long",
                ControlKind::Integer,
                (lowest, highest),
                1,
                None,
            ),
            (
                glib::ParamSpecUChar::builder("short").build(),
                "short",
                ControlKind::Integer,
                (0, 255),
                1,
                None,
            ),
            (
                real_spec("brightness"),
                "brightness",
                ControlKind::Integer,
                (-1000, 1000),
                1000,
                None,
            ),
            (
                real_spec("gamma"),
                "gamma",
                ControlKind::Integer,
                (0, highest),
                1000,
                Some(2200),
            ),
            (
                glib::ParamSpecEnum::builder_with_default("af-mode", gst::State::Null).build(),
                "af_mode",
                ControlKind::Menu(vec![
                    item(0, "void-pending"),
                    item(1, "null"),
                    item(2, "ready"),
                    item(3, "paused"),
                    item(4, "playing"),
                ]),
                (0, 4),
                1,
                None,
            ),
        ] {
            let control = describe(&spec).unwrap();
            let expected = Control {
                name: name.to_owned(),
                kind,
                min: range.0,
                max: range.1,
                step: 1,
                divisor,
                default,
                read_only: false,
            };
            assert_eq!(control, expected);
        }
        let text = glib::ParamSpecString::builder("camera-name").build();
        let several = gst::ParamSpecArray::builder("colour-gains").build();
        assert!(describe(&text).is_none() && describe(&several).is_none());
    }

    #[test]
    fn numbers_become_values_and_back() {
        gst::init().unwrap();
        let whole = glib::ParamSpecInt::builder("exposure-time").build();
        let flag = glib::ParamSpecBoolean::builder("ae-enable").build();
        let short = glib::ParamSpecUChar::builder("short").build();
        let long = glib::ParamSpecInt64::builder("long").build();
        let mode = glib::ParamSpecEnum::builder_with_default("mode", gst::State::Null).build();
        let gain = real_spec("analogue-gain");
        for (spec, number, fits) in [
            (&whole, 20_000, true),
            (&whole, i64::from(i32::MAX) + 1, false),
            (&flag, 1, true),
            (&flag, 0, true),
            (&short, 255, true),
            (&short, 256, false),
            (&long, i64::MIN, true),
            (&mode, 3, true),
            (&mode, 9, false),
            (&gain, 1500, true),
            (&gain, -333, true),
            (&gain, 123_456, true),
        ] {
            let value = to_value(spec, number);
            assert_eq!(value.is_some(), fits, "{} = {number}", spec.name());
            if let Some(value) = value {
                assert_eq!(to_number(&value), Some(number), "{}", spec.name());
            }
        }
        let value: f32 = to_value(&gain, 1500).unwrap().get().unwrap();
        assert_eq!(value.to_bits(), 1.5_f32.to_bits());
    }

    /// What is read back of a control that the camera lacks is 0, so no trial is.
    #[test]
    fn controls_are_tried_with_something() {
        gst::init().unwrap();
        for spec in [
            glib::ParamSpecBoolean::builder("ae-enable").build(),
            glib::ParamSpecInt::builder("exposure-time").build(),
            real_spec("contrast"),
            real_spec("analogue-gain"),
            glib::ParamSpecEnum::builder_with_default("mode", gst::State::Null).build(),
        ] {
            let control = describe(&spec).unwrap();
            let number = trial(&control).unwrap();
            assert!(number != 0 && control.takes(number), "{control:?}");
        }
    }

    #[test]
    fn what_the_camera_lacks_is_named_with_what_it_has() {
        gst::init().unwrap();
        let device: DeviceId = "csi:cam".parse().unwrap();
        let offered = [describe(&real_spec("contrast")).unwrap()];
        for (name, value, text) in [
            ("contrast", 1500, None),
            (
                "contrast",
                -1,
                Some("`contrast` can't be -1: it takes 0 or more, in 1/1000"),
            ),
            (
                "exposure_time",
                1,
                Some("no control is named `exposure_time`; there are: contrast"),
            ),
        ] {
            let wanted = ControlValues::from([(name.to_owned(), value)]);
            let fault = check(&device, &wanted, &offered).err();
            let expected = text.map(|text| format!("csi:cam: {text}"));
            assert_eq!(fault.as_ref().map(|f| f.message.clone()), expected);
            assert!(fault.is_none_or(|fault| fault.kind == FaultKind::Unsupported));
        }
    }
}
