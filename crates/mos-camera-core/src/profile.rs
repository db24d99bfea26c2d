//! Profiles of a network camera: the streams that it offers side by side, and which one a configuration means.

use std::cmp::Reverse;
use std::fmt;

use crate::device::{Capability, DeviceId};
use crate::stream::{Framerate, StreamConfig};

/// A stream that a camera offers beside others.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// What the camera calls it.
    pub token: String,
    /// What people call it.
    pub name: String,
    /// The format, in the terms of [`Capability::format`].
    pub format: String,
    /// Width and height in pixels; none if the camera does not say.
    pub size: Option<(u32, u32)>,
    /// Frames per second; none if the camera does not say.
    pub rate: Option<Framerate>,
    /// What its encoder can be set to; empty if that is not known.
    pub settable: Vec<Capability>,
}

impl fmt::Display for Profile {
    /// As `Profile_1 (MainStream): video/x-h264 1920x1080 at 25 fps`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.token)?;
        if !self.name.is_empty() && self.name != self.token {
            write!(f, " ({})", self.name)?;
        }
        write!(f, ": {}", self.format)?;
        if let Some((width, height)) = self.size {
            write!(f, " {width}x{height}")?;
        }
        if let Some(rate) = self.rate {
            write!(f, " at {rate} fps")?;
        }
        Ok(())
    }
}

impl Profile {
    fn is_named(&self, name: &str) -> bool {
        self.token == name || self.name == name
    }

    /// What is unknown may fit.
    fn fits(&self, wish: &StreamConfig) -> bool {
        let size = wish
            .size
            .is_none_or(|size| self.size.is_none_or(|own| own == size));
        let rate = wish
            .framerate
            .is_none_or(|rate| self.rate.is_none_or(|own| own == rate));
        size && rate
    }

    fn can_be_set_to(&self, wish: &StreamConfig) -> bool {
        let (size, rate) = (wish.size.or(self.size), wish.framerate.or(self.rate));
        self.settable.iter().any(|option| {
            option.format == self.format
                && size.is_none_or(|(width, height)| option.sizes.contains(width, height))
                && rate.is_none_or(|rate| option.rates.contains(rate))
        })
    }

    fn area(&self) -> u64 {
        self.size
            .map_or(0, |(width, height)| u64::from(width) * u64::from(height))
    }
}

/// The profile that a configuration means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// Its encoder has to be set to the configuration's size and rate first.
    pub set_encoder: bool,
}

/// No profile is what was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// None at all.
    #[error("{device} offers no profile with video")]
    None {
        /// The device.
        device: DeviceId,
    },
    /// None of this name.
    #[error("{device} has no profile `{name}`; it has {}", list(profiles))]
    Unknown {
        /// The device.
        device: DeviceId,
        /// The name or token.
        name: String,
        /// What there is.
        profiles: Vec<Profile>,
    },
    /// None whose codec this machine decodes.
    #[error(
        "this machine decodes none of the codecs of {device}; it offers {}",
        list(profiles)
    )]
    NotDecoded {
        /// The device.
        device: DeviceId,
        /// What there is.
        profiles: Vec<Profile>,
    },
    /// None with that size and rate.
    #[error("{device} has no profile that gives {wanted}; it has {}{}", list(profiles), settable(profiles, *may_set))]
    DoesNotFit {
        /// The device.
        device: DeviceId,
        /// Size and rate, for people.
        wanted: String,
        /// Setting the encoder was allowed.
        may_set: bool,
        /// What there is, with what it can be set to.
        profiles: Vec<Profile>,
    },
}

impl ProfileError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::None { .. } => "make a profile with a video encoder in the camera's settings",
            Self::Unknown { .. } => "use one of these tokens or names, or leave `profile` out",
            Self::NotDecoded { .. } => {
                "set the camera to a codec that this machine decodes; `mosctl explain` says what is missing"
            }
            Self::DoesNotFit { may_set: false, .. } => {
                "ask for what a profile gives, or let the stream set the camera's encoder by `set_encoder`"
            }
            Self::DoesNotFit { may_set: true, .. } => "ask for what a profile can be set to",
        }
    }
}

fn list(profiles: &[Profile]) -> String {
    const MOST: usize = 6;
    let shown: Vec<_> = profiles.iter().take(MOST).map(Profile::to_string).collect();
    let text = shown.join("; ");
    match profiles.len().saturating_sub(MOST) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

fn settable(profiles: &[Profile], may_set: bool) -> String {
    let options = profiles.iter().flat_map(|profile| {
        let token = &profile.token;
        profile
            .settable
            .iter()
            .map(move |o| format!("{token}: {o}"))
    });
    let options: Vec<_> = options.take(6).collect();
    if may_set && options.is_empty() {
        ", and does not say what they can be set to".to_owned()
    } else if may_set {
        format!(", which can be set to {}", options.join("; "))
    } else {
        String::new()
    }
}

/// Chooses the profile that `wish` means: the one it names, else the best whose codec is decoded here and whose size and
/// rate are those asked for. The best is the largest, then the fastest, then the one that the camera has first.
///
/// Where none fits, and `wish` allows it, one whose encoder can be set to what is asked for.
pub fn choose<'a>(
    profiles: &'a [Profile],
    wish: &StreamConfig,
    decodes: impl Fn(&str) -> bool,
) -> Result<Choice<'a>, ProfileError> {
    let device = || wish.device.clone();
    if profiles.is_empty() {
        return Err(ProfileError::None { device: device() });
    }
    let owned = |profiles: &[&Profile]| profiles.iter().map(|p| (*p).clone()).collect();
    let mut candidates: Vec<&Profile> = profiles.iter().collect();
    if let Some(name) = &wish.profile {
        candidates.retain(|profile| profile.is_named(name));
        // A token is the name that no two have.
        if let Some(at) = candidates.iter().position(|profile| profile.token == *name) {
            candidates = vec![candidates[at]];
        }
        if candidates.is_empty() {
            return Err(ProfileError::Unknown {
                device: device(),
                name: name.clone(),
                profiles: profiles.to_vec(),
            });
        }
    }
    let all = candidates.clone();
    candidates.retain(|profile| decodes(&profile.format));
    if candidates.is_empty() {
        return Err(ProfileError::NotDecoded {
            device: device(),
            profiles: owned(&all),
        });
    }
    // Stable: of equals the camera's first stays first.
    candidates.sort_by_key(|profile| Reverse((profile.area(), profile.rate)));
    if let Some(profile) = candidates.iter().find(|profile| profile.fits(wish)) {
        return Ok(Choice {
            profile,
            set_encoder: false,
        });
    }
    let settable = |profile: &&&Profile| wish.set_encoder && profile.can_be_set_to(wish);
    match candidates.iter().find(settable) {
        Some(profile) => Ok(Choice {
            profile,
            set_encoder: true,
        }),
        None => Err(ProfileError::DoesNotFit {
            device: device(),
            wanted: wanted(wish),
            may_set: wish.set_encoder,
            profiles: owned(&candidates),
        }),
    }
}

fn wanted(wish: &StreamConfig) -> String {
    let size = wish.size.map(|(width, height)| format!("{width}x{height}"));
    let rate = wish.framerate.map(|rate| format!("{rate} fps"));
    let parts: Vec<_> = size.into_iter().chain(rate).collect();
    parts.join(" at ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Rates, Sizes, Transport};

    fn profile(token: &str, format: &str, size: (u32, u32), rate: u32) -> Profile {
        Profile {
            token: token.to_owned(),
            name: format!("{token}-name"),
            format: format.to_owned(),
            size: Some(size),
            rate: Framerate::new(rate, 1),
            settable: Vec::new(),
        }
    }

    fn camera() -> Vec<Profile> {
        let fps = |rate| Framerate::new(rate, 1).unwrap();
        let mut sub = profile("sub", "video/x-h264", (640, 360), 25);
        sub.settable = vec![Capability {
            format: "video/x-h264".to_owned(),
            sizes: Sizes::Discrete(vec![(640, 360), (320, 180)]),
            rates: Rates::Continuous(fps(1), fps(25)),
        }];
        vec![
            sub,
            profile("slow", "video/x-h264", (1920, 1080), 5),
            profile("main", "video/x-h264", (1920, 1080), 25),
            profile("4k", "video/x-h265", (3840, 2160), 25),
            profile("twin", "video/x-h264", (1920, 1080), 25),
        ]
    }

    fn wish(
        name: Option<&str>,
        size: Option<(u32, u32)>,
        rate: Option<u32>,
        set: bool,
    ) -> StreamConfig {
        StreamConfig {
            profile: name.map(str::to_owned),
            size,
            framerate: rate.and_then(|rate| Framerate::new(rate, 1)),
            set_encoder: set,
            ..StreamConfig::new(DeviceId::new(Transport::Rtsp, "yard"))
        }
    }

    #[test]
    fn the_profile_that_was_meant_is_found() {
        let all: fn(&str) -> bool = |_| true;
        let h264: fn(&str) -> bool = |format| format == "video/x-h264";
        let small = Some((320, 180));
        for (decodes, wish, expected) in [
            (all, wish(None, None, None, false), "4k"),
            (h264, wish(None, None, None, false), "main"),
            (all, wish(None, Some((1920, 1080)), None, false), "main"),
            (all, wish(None, Some((1920, 1080)), Some(5), false), "slow"),
            (all, wish(None, None, Some(5), false), "slow"),
            (all, wish(None, Some((640, 360)), Some(25), false), "sub"),
            (all, wish(Some("sub"), None, None, false), "sub"),
            (all, wish(Some("slow-name"), None, None, false), "slow"),
            // A size that no profile has: only if the encoder may be set, and can be.
            (
                all,
                wish(None, small, None, false),
                "no profile that gives 320x180;",
            ),
            (all, wish(None, small, Some(10), true), "set sub"),
            (
                all,
                wish(Some("main"), small, None, true),
                "does not say what they can be set to",
            ),
            (
                all,
                wish(None, Some((1, 1)), None, true),
                "sub: video/x-h264 640x360, 320x180 at 1 to 25 fps",
            ),
            (
                all,
                wish(None, small, Some(60), true),
                "no profile that gives 320x180 at 60 fps;",
            ),
            // What fits already is not set.
            (all, wish(None, Some((640, 360)), None, true), "sub"),
            (
                all,
                wish(Some("nope"), None, None, false),
                "no profile `nope`; it has sub (sub-name): video/x-h264 640x360 at 25 fps;",
            ),
            (
                h264,
                wish(Some("4k"), None, None, false),
                "decodes none of the codecs",
            ),
        ] {
            let found = match choose(&camera(), &wish, decodes) {
                Ok(choice) if choice.set_encoder => format!("set {}", choice.profile.token),
                Ok(choice) => choice.profile.token.clone(),
                Err(error) => {
                    assert!(!error.hint().is_empty());
                    error.to_string()
                }
            };
            assert!(
                found == expected || (expected.contains(' ') && found.contains(expected)),
                "{wish:?}: {found}"
            );
        }
        assert!(matches!(
            choose(&[], &wish(None, None, None, false), all),
            Err(ProfileError::None { .. })
        ));
    }

    #[test]
    fn what_a_camera_does_not_say_may_fit() {
        let silent = Profile {
            size: None,
            rate: None,
            ..profile("a", "video/x-h264", (1, 1), 1)
        };
        let wish = wish(None, Some((640, 480)), Some(30), false);
        assert!(!choose(&[silent], &wish, |_| true).unwrap().set_encoder);
    }
}
