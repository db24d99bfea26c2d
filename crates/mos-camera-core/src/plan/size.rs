//! Which size to capture in.

use super::explanation::Reason;
use super::offer::{Mode, Offered, Wish};
use crate::device::{Range, Rates, Sizes};
use crate::stream::Framerate;

/// What to aim for where no size is asked for; `v4l2src` by itself would take the size nearest to 320x200.
const AIM: (u32, u32) = (1280, 720);

/// The size to ask for, and the highest rate that it comes in; nothing where only an open session tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picked {
    pub(super) size: Option<(u32, u32)>,
    pub(super) best_rate: Option<Framerate>,
}

/// The wish in this format, or why it can't be had.
pub(super) fn pick(offered: &Offered, wish: Wish) -> Result<Picked, Reason> {
    if offered.modes.is_empty() {
        return Ok(Picked {
            size: wish.size,
            best_rate: None,
        });
    }
    let fitting = at_rate(&in_size(&offered.modes, wish)?, wish)?;
    let size = match wish.size {
        Some(size) => size,
        None => nearest(&fitting).ok_or(Reason::OddSizes)?,
    };
    let of_size = fitting
        .iter()
        .filter(|mode| mode.sizes.contains(size.0, size.1));
    Ok(Picked {
        size: Some(size),
        best_rate: of_size.filter_map(|mode| highest(&mode.rates)).max(),
    })
}

fn in_size(modes: &[Mode], wish: Wish) -> Result<Vec<&Mode>, Reason> {
    let Some(size) = wish.size else {
        return Ok(modes.iter().collect());
    };
    let found: Vec<_> = modes
        .iter()
        .filter(|mode| mode.sizes.contains(size.0, size.1))
        .collect();
    if found.is_empty() {
        let offered = modes.iter().map(|mode| mode.sizes.clone()).collect();
        return Err(Reason::NotInSize { size, offered });
    }
    Ok(found)
}

fn at_rate<'a>(modes: &[&'a Mode], wish: Wish) -> Result<Vec<&'a Mode>, Reason> {
    let Some(rate) = wish.rate else {
        return Ok(modes.to_vec());
    };
    let found: Vec<_> = modes
        .iter()
        .copied()
        .filter(|mode| mode.rates.contains(rate))
        .collect();
    if found.is_empty() {
        let offered = modes.iter().map(|mode| mode.rates.clone()).collect();
        return Err(Reason::NotAtRate {
            rate,
            size: wish.size,
            offered,
        });
    }
    Ok(found)
}

/// The even size that is nearest to [`AIM`]: NV12 has one chroma sample per 2x2 pixels.
fn nearest(modes: &[&Mode]) -> Option<(u32, u32)> {
    let sizes = modes.iter().filter_map(|mode| nearest_of(&mode.sizes));
    sizes.min_by_key(|size| distance(*size))
}

fn nearest_of(sizes: &Sizes) -> Option<(u32, u32)> {
    match sizes {
        Sizes::Discrete(sizes) => sizes
            .iter()
            .copied()
            .filter(|size| is_even(*size))
            .min_by_key(|size| distance(*size)),
        Sizes::Stepwise { width, height } => {
            Some((step_to(*width, AIM.0), step_to(*height, AIM.1))).filter(|size| is_even(*size))
        }
    }
}

const fn is_even(size: (u32, u32)) -> bool {
    size.0.is_multiple_of(2) && size.1.is_multiple_of(2)
}

/// The range's largest even value up to `aim`, or its smallest.
fn step_to(range: Range, aim: u32) -> u32 {
    let step = range.step.max(1);
    let value = aim.clamp(range.min, range.max.max(range.min));
    let value = value - (value - range.min) % step;
    if value % 2 == 1 && value - range.min >= step {
        value - step
    } else {
        value
    }
}

fn distance(size: (u32, u32)) -> u32 {
    size.0.abs_diff(AIM.0) + size.1.abs_diff(AIM.1)
}

fn highest(rates: &Rates) -> Option<Framerate> {
    match rates {
        Rates::Discrete(rates) => rates.iter().copied().max(),
        Rates::Continuous(_, highest) => Some(*highest),
    }
}

#[cfg(test)]
mod tests {
    use super::super::offer::Handover;
    use super::*;

    fn fps(num: u32) -> Framerate {
        Framerate::new(num, 1).unwrap()
    }

    fn offered(modes: Vec<(Sizes, u32)>) -> Offered {
        let mode = |(sizes, rate)| Mode {
            sizes,
            rates: Rates::Discrete(vec![fps(rate)]),
        };
        let modes = modes.into_iter().map(mode).collect();
        Offered {
            format: "NV12".to_owned(),
            handover: Handover::Exported,
            modes,
        }
    }

    #[test]
    fn without_a_wish_the_even_size_nearest_to_720p_is_captured() {
        let side = |min, max, step| Range { min, max, step };
        let stepwise = |width, height| Sizes::Stepwise { width, height };
        let discrete = |sizes: &[(u32, u32)]| Sizes::Discrete(sizes.to_vec());
        for (sizes, expected) in [
            (
                discrete(&[(320, 180), (1920, 1080), (1024, 768)]),
                Some((1024, 768)),
            ),
            (discrete(&[(1281, 720), (640, 480)]), Some((640, 480))),
            (discrete(&[(1281, 721)]), None),
            (
                stepwise(side(16, 4096, 2), side(16, 2160, 2)),
                Some((1280, 720)),
            ),
            (
                stepwise(side(16, 640, 16), side(16, 480, 16)),
                Some((640, 480)),
            ),
            (stepwise(side(1, 641, 1), side(1, 481, 0)), Some((640, 480))),
            (
                stepwise(side(2592, 2592, 1), side(1944, 1944, 1)),
                Some((2592, 1944)),
            ),
            (stepwise(side(2593, 2593, 1), side(1944, 1944, 1)), None),
        ] {
            let picked = pick(&offered(vec![(sizes.clone(), 30)]), Wish::default());
            assert_eq!(picked.ok().and_then(|p| p.size), expected, "{sizes}");
        }
    }

    #[test]
    fn a_wish_is_held_against_modes_one_by_one() {
        let webcam = offered(vec![
            (Sizes::Discrete(vec![(640, 480)]), 30),
            (Sizes::Discrete(vec![(1280, 720)]), 10),
        ]);
        let wish = |size, rate: Option<u32>| Wish {
            size,
            rate: rate.map(fps),
            ..Wish::default()
        };
        let not_at = |rate, size, offered| Reason::NotAtRate {
            rate: fps(rate),
            size,
            offered: Vec::from(offered)
                .into_iter()
                .map(|r| Rates::Discrete(vec![fps(r)]))
                .collect(),
        };
        for (wish, expected) in [
            (wish(None, None), Ok(((1280, 720), 10))),
            (wish(None, Some(30)), Ok(((640, 480), 30))),
            (wish(Some((640, 480)), None), Ok(((640, 480), 30))),
            (
                wish(Some((1280, 720)), Some(30)),
                Err(not_at(30, Some((1280, 720)), &[10][..])),
            ),
            (wish(None, Some(60)), Err(not_at(60, None, &[30, 10][..]))),
            (
                wish(Some((800, 600)), Some(30)),
                Err(Reason::NotInSize {
                    size: (800, 600),
                    offered: webcam.modes.iter().map(|mode| mode.sizes.clone()).collect(),
                }),
            ),
        ] {
            let expected = expected.map(|(size, rate)| Picked {
                size: Some(size),
                best_rate: Some(fps(rate)),
            });
            assert_eq!(pick(&webcam, wish), expected, "{wish:?}");
        }
    }

    #[test]
    fn what_only_a_session_tells_fits_any_wish() {
        let wish = Wish {
            size: Some((640, 480)),
            rate: Some(fps(25)),
            ..Wish::default()
        };
        let expected = Picked {
            size: wish.size,
            best_rate: None,
        };
        assert_eq!(pick(&offered(Vec::new()), wish), Ok(expected));
    }
}
