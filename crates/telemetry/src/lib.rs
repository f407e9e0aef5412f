//! Metric names and labels, log set-up.
