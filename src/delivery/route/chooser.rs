//! Chooser: one endpoint's view of the table in force.

use super::Mode;
use super::standing::Standing;
use super::table::{Competitor, RouteTable, Verdict};
use crate::clock::UnixMs;
use crate::delivery::endpoint::Endpoint;
use crate::queue::Queued;
use std::cell::Cell;
use std::sync::{Arc, PoisonError, RwLock};

/// The table in force, for all lanes. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Routes(Arc<RwLock<Arc<RouteTable>>>);

impl Routes {
    /// `table` is in force.
    pub fn new(table: RouteTable) -> Routes {
        Routes(Arc::new(RwLock::new(Arc::new(table))))
    }

    /// The table in force.
    pub fn current(&self) -> Arc<RouteTable> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on `table` is in force, for every event that was not tried yet.
    pub fn replace(&self, table: RouteTable) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }
}

/// One endpoint's view of the table in force.
#[derive(Debug)]
pub struct Chooser {
    name: Arc<str>,
    routes: Option<Routes>,
    table: Arc<RouteTable>,
    seat: usize,
    wall: UnixMs,
    unrouted: Cell<u64>,
}

impl Chooser {
    /// That of an endpoint beside which there is no other.
    pub fn alone(endpoint: &Endpoint) -> Chooser {
        let competitor = Competitor {
            endpoint,
            is_enabled: true,
            standing: Standing::default(),
        };
        Chooser {
            name: Arc::clone(&endpoint.name),
            routes: None,
            table: Arc::new(RouteTable::new(Mode::Override, [competitor])),
            seat: 0,
            wall: UnixMs::default(),
            unrouted: Cell::default(),
        }
    }

    /// From now on `routes` decide, if the endpoint has a place there.
    pub fn follow(&mut self, routes: Routes) {
        self.routes = Some(routes);
        self.refresh(self.wall);
    }

    /// Takes note of the time and of the table in force; true when that is another one than before.
    ///
    /// An endpoint without a place in it stays with the table it has: its lane is about to be taken
    /// down, and passes nothing by meanwhile.
    pub fn refresh(&mut self, wall: UnixMs) -> bool {
        self.wall = wall;
        let Some(routes) = &self.routes else {
            return false;
        };
        let table = routes.current();
        if Arc::ptr_eq(&table, &self.table) {
            return false;
        }
        let Some(seat) = table.seat_of(&self.name) else {
            return false;
        };
        (self.table, self.seat) = (table, seat);
        true
    }

    /// Whether the endpoint gets an event, asked before its turn has come: nothing is counted.
    pub fn gets(&self, queued: &Queued) -> bool {
        self.table.judge(self.seat, queued, self.wall) == Verdict::Gets
    }

    /// Whether the endpoint gets an event.
    pub fn wants(&self, queued: &Queued) -> bool {
        let gets = self.gets(queued);
        if !gets && self.table.is_teller(self.seat) && !self.table.is_taken(&queued.event) {
            self.unrouted.set(self.unrouted.get() + 1);
        }
        gets
    }

    /// The endpoint it mirrors, and until when.
    pub fn mirror(&self) -> Option<(&Arc<str>, UnixMs)> {
        self.table.mirror(self.seat)
    }

    /// How many events nobody got, since the last call; counted by one endpoint for all.
    pub fn take_unrouted(&self) -> u64 {
        self.unrouted.take()
    }
}
