//! The contract of the stores, as tests.
