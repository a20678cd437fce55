//! Pacing, catching up, bursts.


