//! Cameras that are added and removed at run time, beside those of the configuration file.

use mos_camera_core::{DeviceId, StreamName};

use super::{Engine, EngineError};
use crate::config::{self, Camera, Config};
use crate::state::WantedState;

/// What became of an added camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its device.
    pub device: DeviceId,
    /// It had been added exactly so before.
    pub unchanged: bool,
}

/// The file's configuration with the cameras that were added. One that the file has too is the file's; one whose table can't be
/// resolved any more (its secret is gone) is left out, and comes back by a reload.
pub(super) fn merged(file: &Config, state: &WantedState) -> Config {
    let mut config = file.clone();
    for (name, table) in state.cameras() {
        if file.cameras.contains_key(name) {
            tracing::warn!(camera = %name, "the configuration file has this camera, which was added at run time before: the file's counts; remove the other one, or rename one of them");
            continue;
        }
        match config::camera(name, table, &file.service) {
            Ok(camera) => {
                config.cameras.insert(name.clone(), camera);
            }
            Err(error) => {
                tracing::error!(%error, "a camera that was added at run time is left out; mend this and reload, or add the camera again");
            }
        }
    }
    config
}

impl Engine {
    /// Adds a camera by its table, or gives it another one.
    pub async fn add_camera(&self, name: &StreamName, table: &str) -> Result<Added, EngineError> {
        self.check_running()?;
        let _turn = self.0.reloading.lock().await;
        let camera = self.resolve_camera(name, table)?;
        let before = self.0.keeper.state().await;
        let unchanged =
            before.camera(name) == Some(table) && self.config().cameras.get(name) == Some(&camera);
        if !unchanged {
            self.0
                .keeper
                .replace(|state| state.with_camera(name, table))
                .await?;
            self.apply().await;
        }
        Ok(Added {
            device: camera.device,
            unchanged,
        })
    }

    fn resolve_camera(&self, name: &StreamName, table: &str) -> Result<Camera, EngineError> {
        let file = self.file();
        if file.cameras.contains_key(name) {
            return Err(EngineError::CameraInFile { name: name.clone() });
        }
        config::camera(name, table, &file.service)
            .map_err(|error| EngineError::BadCamera(Box::new(error)))
    }

    /// Removes a camera that was added, with the stream that it brought along.
    pub async fn remove_camera(&self, name: &StreamName) -> Result<(), EngineError> {
        self.check_running()?;
        let _turn = self.0.reloading.lock().await;
        if self.0.keeper.state().await.camera(name).is_none() {
            return Err(EngineError::UnknownCamera { name: name.clone() });
        }
        let device = self.config().cameras.get(name).map(|c| c.device.clone());
        let without = |state: &WantedState| state.without_camera(name, device.as_ref());
        self.0.keeper.replace(without).await?;
        self.apply().await;
        Ok(())
    }
}
