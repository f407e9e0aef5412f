//! Versions, labels, custody: stage, promote, roll back.
