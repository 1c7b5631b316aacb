"""Where returns and risks come from: exposures to factors, what they explain, and what they do not."""
