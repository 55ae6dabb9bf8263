//! What nobody but the master knows of queues: what was popped in order, and who holds them. Slaves
//! copy it, so that one that becomes master goes on with it.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use skua_protocol::Millis;
use skua_protocol::json::{self, JsonError};

use crate::broker::Broker;
use crate::pop::order;
use crate::queue_locks::Holders;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Held {
    orders: order::File,
    locks: Holders,
}

impl Broker {
    /// For a slave, the answer to request 770004.
    pub(crate) fn held(&self) -> Vec<u8> {
        let (orders, locks) = (self.pop.orders.snapshot(), self.locks.snapshot());
        json::to_vec(&Held { orders, locks })
    }

    /// Takes over what the master holds, the body of its answer to request 770004; `at` is what the
    /// answer says of itself ([`copied_at`](crate::copied_at)).
    pub fn take_held(&self, body: &[u8], at: Option<u64>, now: Millis) -> Result<(), JsonError> {
        let held = json::from_slice::<Held>(body)?;
        let Ok(()) = self.take_copy(at, || {
            let Held { orders, locks } = held;
            self.pop.orders.take_masters(orders);
            self.locks.take_masters(&locks);
            Ok::<(), Infallible>(())
        });
        self.wake_to_save_offsets(now);
        Ok(())
    }
}
