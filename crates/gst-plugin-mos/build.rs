//! Puts the version and the commit into the plugin's description.

fn main() {
    gst_plugin_version_helper::info();
}
