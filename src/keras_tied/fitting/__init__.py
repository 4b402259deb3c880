"""Training: a plan, the rows prepared for it, a solver, and a judgement of what it found."""
