//! Plots of a run, as SVG with text that the viewer sets: no fonts are needed to draw them.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::duel::{self, FAN_OUTS, Stopped};
use super::findings::Findings;
use super::wake::{self, Way};
use crate::contender::{BUS, Error, Lane};

/// A plot that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
}

const FONT: &str = "sans-serif";
const PANEL: (u32, u32) = (480, 340);
/// Colours that stay apart in print and for most eyes (Okabe and Ito 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(120, 120, 120),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws what was measured into `folder`, and takes away plots of an earlier run that were not: they would look like this one's.
pub(super) fn draw(folder: &Path, findings: &Findings) -> Result<Vec<Plot>, Error> {
    type Draw = fn(&Findings) -> Result<Option<String>, Error>;
    let all: [(Plot, Draw); 3] = [
        (
            plot(
                "bus-wake.svg",
                "Share of wake-ups later than a time, 1000 fps",
            ),
            |f| f.wake.as_ref().map(wake_up).transpose(),
        ),
        (
            plot(
                "bus-stop.svg",
                "One of three subscribers is stopped, later killed",
            ),
            |f| {
                let stops = f.contenders.as_ref().filter(|c| !c.stops.is_empty());
                stops.map(stop).transpose()
            },
        ),
        (
            plot("bus-cpu.svg", "CPU time per delivery, 1080p at 60 fps"),
            |f| {
                let costs = f.contenders.as_ref().filter(|c| !c.costs.is_empty());
                costs.map(cpu).transpose()
            },
        ),
    ];
    let mut written = Vec::new();
    for (plot, draw) in all {
        let path = folder.join(plot.file);
        match draw(findings)? {
            Some(svg) => {
                fs::write(&path, svg)?;
                written.push(plot);
            }
            None if path.exists() => fs::remove_file(&path)?,
            None => {}
        }
    }
    Ok(written)
}

const fn plot(file: &'static str, title: &'static str) -> Plot {
    Plot { file, title }
}

/// A picture of panels side by side, `columns` a row.
fn panels(
    count: usize,
    columns: usize,
    mut draw: impl FnMut(usize, &Canvas<'_>) -> Result<(), Error>,
) -> Result<String, Error> {
    let rows = count.div_ceil(columns).max(1);
    let mut svg = String::new();
    {
        let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (index, area) in root.split_evenly((rows, columns)).iter().enumerate() {
            if index < count {
                draw(index, area)?;
            }
        }
        root.present()?;
    }
    Ok(svg)
}

/// One panel a fan-out; one line a way. Both axes are logarithmic: the tail is what differs.
fn wake_up(figures: &wake::Figures) -> Result<String, Error> {
    let mut fan_outs: Vec<u32> = figures.curves.iter().map(|c| c.subscribers).collect();
    fan_outs.sort_unstable();
    fan_outs.dedup();
    panels(fan_outs.len(), 2, |index, area| {
        let subscribers = fan_outs[index];
        let plural = if subscribers == 1 { "" } else { "s" };
        let mut chart = ChartBuilder::on(area)
            .caption(format!("{subscribers} subscriber{plural}"), (FONT, 18))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d((1.0..200_000.0).log_scale(), (0.001..1.0).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("later than, microseconds")
            .y_desc("share of wake-ups")
            .light_line_style(WHITE)
            .x_label_formatter(&|x| format!("{x}"))
            .y_label_formatter(&|y| format!("{y}"))
            .draw()?;
        for curve in figures
            .curves
            .iter()
            .filter(|c| c.subscribers == subscribers)
        {
            let colour = COLOURS[Way::ALL.iter().position(|w| *w == curve.way).unwrap_or(0)];
            let width = if curve.way == Way::Bus { 3 } else { 1 };
            let style = colour.stroke_width(width);
            chart
                .draw_series(LineSeries::new(later_than(&curve.points), style))?
                .label(curve.way.name())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        legend(&mut chart, SeriesLabelPosition::LowerLeft)?;
        Ok(())
    })
}

/// (time, share at or below) as (time, share above), without the ends that a logarithm has no place for.
fn later_than(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> + '_ {
    points
        .iter()
        .map(|(us, share)| (*us, 1.0 - share))
        .filter(|(us, above)| *us >= 1.0 && *above >= 0.001)
}

/// One of a second's two counts.
type FramesOf = fn(&crate::contender::Second) -> u64;

/// One panel a contender: frames a second of the producer and of the worst healthy subscriber.
fn stop(figures: &duel::Figures) -> Result<String, Error> {
    let stops = sorted(&figures.stops);
    let seconds = stops.iter().map(|s| s.story.timeline.len()).max();
    let seconds = seconds.unwrap_or_default() as f64;
    let top = f64::from(figures.fps) * 1.4;
    let stopped = figures.stop_plan.before.as_secs_f64();
    let killed = stopped + figures.stop_plan.stopped.as_secs_f64();
    panels(stops.len(), 2.min(stops.len()), |index, area| {
        let Stopped { name, story } = stops[index];
        let mut chart = ChartBuilder::on(area)
            .caption(name, (FONT, 18))
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..seconds, 0.0..top)?;
        chart
            .configure_mesh()
            .x_desc("seconds")
            .y_desc("frames a second")
            .light_line_style(WHITE)
            .draw()?;
        let shade = RGBColor(213, 94, 0).mix(0.12).filled();
        chart.draw_series([Rectangle::new([(stopped, 0.0), (killed, top)], shade)])?;
        let lines: [(&str, u32, FramesOf); 2] = [
            ("producer", 4, |s| s.produced),
            ("worst healthy subscriber", 2, |s| s.healthy),
        ];
        for ((label, width, of), colour) in lines.into_iter().zip([COLOURS[4], COLOURS[0]]) {
            let style = colour.stroke_width(width);
            let points = story.timeline.iter().enumerate();
            let points = points.map(|(n, second)| (n as f64 + 0.5, of(second) as f64));
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
        }
        chart
            .draw_series(std::iter::once(EmptyElement::at((stopped, top))))?
            .label("one is stopped")
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 16, y + 5)], shade));
        legend(&mut chart, SeriesLabelPosition::UpperRight)?;
        Ok(())
    })
}

/// The bus first, the others by name.
fn sorted(stops: &[Stopped]) -> Vec<&Stopped> {
    let mut stops: Vec<&Stopped> = stops.iter().collect();
    stops.sort_by_key(|s| (s.name != BUS, s.name.clone()));
    stops
}

/// One panel a fan-out; one bar a contender.
fn cpu(figures: &duel::Figures) -> Result<String, Error> {
    let of = |n| figures.costs.iter().filter(move |c| c.subscribers == n);
    let top = figures.costs.iter().map(|c| c.us_per_delivery);
    let top = top.fold(1.0, f64::max) * 1.2;
    panels(FAN_OUTS.len(), 2, |index, area| {
        let subscribers = FAN_OUTS[index];
        let mut costs: Vec<&duel::Cost> = of(subscribers).collect();
        costs.sort_by(|a, b| {
            let key = |c: &duel::Cost| c.lane == Lane::Elements;
            key(a)
                .cmp(&key(b))
                .then(a.us_per_delivery.total_cmp(&b.us_per_delivery))
        });
        let plural = if subscribers == 1 { "" } else { "s" };
        let rows = costs.len().max(1) as f64;
        let mut chart = ChartBuilder::on(area)
            .caption(format!("{subscribers} subscriber{plural}"), (FONT, 18))
            .margin(10)
            .x_label_area_size(40)
            .build_cartesian_2d(0.0..top, 0.0..rows)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(WHITE)
            .x_desc("microseconds of CPU per delivery")
            .draw()?;
        for (row, cost) in costs.iter().enumerate() {
            let y = rows - row as f64;
            let colour = match cost.lane {
                Lane::Native => COLOURS[0],
                Lane::Elements => COLOURS[3],
            };
            let bar = [(0.0, y - 0.8), (cost.us_per_delivery, y - 0.45)];
            chart.draw_series([Rectangle::new(bar, colour.filled())])?;
            let lane = match cost.lane {
                Lane::Native => "program",
                Lane::Elements => "element",
            };
            let text = format!("{} ({lane}): {:.0} us", cost.name, cost.us_per_delivery);
            chart.draw_series([Text::new(text, (top * 0.01, y - 0.12), (FONT, 14))])?;
        }
        Ok(())
    })
}

type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

fn legend<'a, 'b, X, Y>(
    chart: &mut Chart<'a, 'b, X, Y>,
    at: SeriesLabelPosition,
) -> Result<(), Error>
where
    X: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
    'b: 'a,
{
    chart
        .configure_series_labels()
        .position(at)
        .label_font((FONT, 12))
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_what_is_above() {
        let points = [(0.5, 0.0), (10.0, 0.5), (20.0, 0.99), (30.0, 1.0)];
        let above: Vec<_> = later_than(&points).collect();
        assert_eq!(above.len(), 2);
        assert!((above[0].1 - 0.5).abs() < 1e-9 && (above[1].1 - 0.01).abs() < 1e-9);
    }

    #[test]
    fn plots_of_another_run_do_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("bus-stop.svg");
        fs::write(&old, "old").unwrap();
        assert!(
            draw(folder.path(), &Findings::default())
                .unwrap()
                .is_empty()
        );
        assert!(!old.exists());
    }
}
