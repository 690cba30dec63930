//! What is told of a balance: the `data` of a `balance_alert`, keys and order fixed.

use super::json::Object;
use super::shape::Field;

/// The type of events about balances.
pub use crate::parser::format::BALANCE as BALANCE_ALERT;

/// The members of a balance alert's `data`, in order.
pub const FIELDS: [Field; 8] = [
    Field::text("account_id", "The account.").always(),
    Field::text("account_type", "prepaid or postpaid, as the switch wrote it."),
    Field::amount(
        "current_balance",
        "The balance as the switch wrote it; null where only the switch knows it.",
    ),
    Field::text("currency", "Its currency."),
    Field::amount("alert_threshold", "The threshold as it was configured.").always(),
    Field::word(
        "alert_type",
        &["low_balance", "recovered"],
        "low_balance when the balance fell below the threshold, recovered when it rose above it again.",
    )
    .always(),
    Field::amount("credit_limit", "How far below zero the balance may go."),
    Field::whole("level", "The threshold's place among the account's: 1 is the highest."),
];

/// What a balance alert says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalanceAlert<'a> {
    /// The account.
    pub account: &'a str,
    /// `prepaid` or `postpaid`, as written.
    pub account_type: Option<&'a str>,
    /// The balance as written; `None` where only the switch knows it.
    pub balance: Option<&'a str>,
    /// Its currency.
    pub currency: Option<&'a str>,
    /// The threshold as written.
    pub threshold: &'a str,
    /// The balance is below it; else it has recovered.
    pub low: bool,
    /// How far below zero it may go.
    pub credit_limit: Option<&'a str>,
    /// The threshold's place among the account's, from 1, the highest.
    pub level: usize,
}

impl BalanceAlert<'_> {
    /// Its word for what happened.
    pub fn alert_type(&self) -> &'static str {
        if self.low { "low_balance" } else { "recovered" }
    }

    /// The `data` object.
    pub fn data(&self) -> Box<[u8]> {
        let mut data = Object::shaped(&FIELDS, 256);
        data.text("account_id", Some(self.account));
        data.text("account_type", self.account_type);
        data.text("current_balance", self.balance);
        data.text("currency", self.currency);
        data.text("alert_threshold", Some(self.threshold));
        data.text("alert_type", Some(self.alert_type()));
        data.text("credit_limit", self.credit_limit);
        data.whole("level", i64::try_from(self.level).ok());
        data.finish()
    }
}
