//! What the service tells its clients.

/// Events of a camera, with the numbers that the element's messages carry (`camera_source_context.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    ServiceDied = 1,
    CameraError = 2,
    CameraClosing = 4,
    SofFreeze = 8,
    RecoveryFailure = 9,
    Fatal = 10,
    RecoverySuccess = 11,
    InternalRecovery = 12,
    DeviceStatusChange = 13,
}
