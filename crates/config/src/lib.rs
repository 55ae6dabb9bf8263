//! Java's properties files and the one table of configuration keys.
//!
//! Reads no file and no environment; both are given in. Start at [`table`] for the keys and at
//! [`Settings::load`] for the rules by which a file becomes a configuration.

mod check;
pub mod docs;
mod environment;
mod nearest;
pub mod properties;
mod settings;
pub mod table;
mod value;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use environment::Environment;
pub use properties::Properties;
pub use settings::{ConfigError, Role, Settings, Warning};
pub use table::{
    AuthConfig, BrokerConfig, ClientConfig, ClientLibraryConfig, ControllerConfig, Effect, Key,
    NamesrvConfig, ServerConfig, StoreConfig, TlsConfig,
};
pub use value::{BrokerRole, FlushDiskType, MetricsExporterType, SlaveRefill, Value};

/// A value that is replaced whole while others read it without a lock.
pub struct Live<T>(ArcSwap<T>);

impl<T> Live<T> {
    pub fn new(value: T) -> Self {
        Self(ArcSwap::from_pointee(value))
    }

    pub fn load(&self) -> Arc<T> {
        self.0.load_full()
    }

    pub fn store(&self, value: T) {
        self.0.store(Arc::new(value));
    }
}
