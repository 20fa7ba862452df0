//! The `[source.cdc-orders]` section: the change stream of a table of orders, beside that of their customers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Invalid, check_range};

/// Changes of orders (input 0) and of customers (input 1), both keyed by customer, whose number and skew the section
/// `keys` gives. Every customer comes once before the first order, as the snapshot that a change stream begins with. Of
/// an order change the value is the amount and the second number the order; of a customer's the value is its segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CdcOrdersWire {
    /// Segments that customers belong to.
    pub segments: u32,
    /// Share of the events that move a customer to another segment.
    pub customer_changes: f64,
    /// Share of the order events that change the amount of an earlier order.
    pub updates: f64,
    /// Share of the order events that delete an earlier order.
    pub deletes: f64,
    /// How many events back an order may lie that is changed or deleted.
    pub recent: u64,
}

impl Default for CdcOrdersWire {
    fn default() -> Self {
        Self { segments: 5, customer_changes: 0.02, updates: 0.3, deletes: 0.1, recent: 100_000 }
    }
}

/// The change stream, valid by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct CdcOrders {
    /// Segments that customers belong to.
    pub segments: u32,
    /// Share of the events that move a customer to another segment.
    pub customer_changes: f64,
    /// Share of the order events that change an earlier order.
    pub updates: f64,
    /// Share of the order events that delete an earlier order.
    pub deletes: f64,
    /// How many events back an order may lie that is changed or deleted.
    pub recent: u64,
}

impl CdcOrders {
    /// Checks the wire form; paths of errors are relative to `source.cdc-orders`.
    ///
    /// # Errors
    /// A number out of range, or shares that leave no new orders.
    pub fn new(wire: &CdcOrdersWire) -> Result<Self, Invalid> {
        let updates = check_range("updates", wire.updates, 0.0..=1.0)?;
        let deletes = check_range("deletes", wire.deletes, 0.0..=1.0)?;
        if updates + deletes >= 1.0 {
            let found = format!("{} of changes and deletions", updates + deletes);
            return Err(Invalid::new(
                "updates",
                found,
                "less than 1 together with `deletes`: orders must be new first",
            ));
        }
        Ok(Self {
            segments: check_range("segments", wire.segments, 1..=1_000_000)?,
            customer_changes: check_range("customer-changes", wire.customer_changes, 0.0..=0.99)?,
            updates,
            deletes,
            recent: check_range("recent", wire.recent, 1..=1_000_000_000)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_streams_are_refused() {
        let path = |text: &str| CdcOrders::new(&toml::from_str(text).unwrap()).unwrap_err().path;
        assert_eq!(path("segments = 0"), "segments");
        assert_eq!(path("updates = 0.6\ndeletes = 0.4"), "updates");
        assert_eq!(path("customer-changes = 1"), "customer-changes");
        assert_eq!(path("recent = 0"), "recent");
    }
}
