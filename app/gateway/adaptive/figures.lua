-- The tuned figures of the rate controller, in one place. Found in the simulator (`python -m bench.limits`).
local figures = {
  first_rate = 2.0, -- requests/s of a pool that knows nothing
  ramp_s = 1.5, -- between two doublings of the slow start
  first_cap = 16, -- calls in flight of a pool that knows nothing
  first_call_s = 4.0, -- how long a call takes, until some have ended
  in_hand = 0.015, -- share of a measured limit that is left to the provider
  longest_s = 90, -- a measurement reaches back no further ...
  longest_calls = 40, -- ... unless a slow pool has not made so many calls since
  probe_least_s = 15, -- between two probes for more ...
  probe_calls = 250, -- ... and at least so many calls
  probe_most_s = 600, -- a slow pool is not left with a wrong guess for longer
  gains = { 1.06, 1.12, 1.25, 1.5, 2.0, 2.5 }, -- steps of a probe
  step_s = 1.5,
  climb_s = 0.7, -- step after a cut without a measurement
  plenty = 0.2, -- share of an announced limit that is left: a refusal contradicts it
  lies = 3, -- contradictions until headers are not believed ...
  disbelief_s = 3600, -- ... for so long
  slower = 1.15, -- latency over its base from which calls in flight are too many
  away_share = 0.85, -- of the learned limits while Redis is away
  return_gap_s = 10, -- no beat for so long: Redis was away
  stopped_s = 60, -- a pool that an operator stopped is asked again so late
  credit_s = 10, -- of the pool, kept for a tenant that comes back
  growing = 4, -- what still grows will be so much faster soon, as far as who waits is concerned
  known_calls = 16, -- how long calls take is known once so many have ended
  probe_near_s = 1, -- who is to look whether a provider is back is woken so long before
  starved_s = 30, -- a bulk call that waited so long gets every tenth permit
}
