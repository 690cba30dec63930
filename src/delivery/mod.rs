//! Pump 2: entry → signed request → outcome → settlement.
