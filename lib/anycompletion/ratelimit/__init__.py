"""Rate limits: a client's own limits, a shared limiter, cooldowns after 429 answers, adaptive concurrency."""
