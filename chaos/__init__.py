"""Random kills over everything that hardy shares, with a ledger that gives each item one fate.

Who is who: the *conductor* (`rounds.py`, never killed) starts a *world* (`world.py`, a program of the user's kind, on
hardy or on a peer), whose *seats* are processes that put, get or lock (`queue_seats.py`, `lock_seats.py`). The
conductor kills them as a seed says (`plan.py`), and reads what they wrote into the *ledger* (`ledger.py`), which is
memory that no kill takes away. `fates.py` and `exclusion.py` judge it; the libraries of `faults.py` must be found out.
"""
