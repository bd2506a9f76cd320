"""A supervisor against a plain model of OTP's rules: who runs, in which order, and who was started anew."""

from __future__ import annotations

import math
import os
import signal
from typing import Any

import pytest
from helpers import supervised
from helpers.supervised import Watcher
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hardy import ChildError, ChildSpec, Supervisor

POLICIES = st.sampled_from(["permanent", "transient", "temporary"])


class Modelled:
    """A child as the rules say it should be."""

    def __init__(self, id: str, restart: str) -> None:
        self.id, self.restart = id, restart
        self.runs = True
        self.starts = 1


class SupervisorModel(RuleBasedStateMachine):
    """Kills, additions and removals, in any order."""

    @initialize(
        strategy=st.sampled_from(["one_for_one", "one_for_all", "rest_for_one"]),
        policies=st.lists(POLICIES, min_size=1, max_size=4),
    )
    def begin(self, strategy: Any, policies: list[Any]) -> None:
        self.strategy = strategy
        self.model = [Modelled(f"c{n}", policy) for n, policy in enumerate(policies)]
        self.made = len(policies)
        self.watcher = Watcher()
        self.pids: dict[str, set[int]] = {}
        specs = [ChildSpec(each.id, supervised.pause, restart=each.restart) for each in self.model]
        self.supervisor = Supervisor(
            specs, strategy=strategy, intensity=math.inf, on_event=self.watcher, ctx="fork", name="model"
        )
        self.supervisor.start()

    def teardown(self) -> None:
        if hasattr(self, "supervisor"):
            self.supervisor.stop()

    def pick(self, data: Any, runs: bool) -> Modelled:
        return data.draw(st.sampled_from([each for each in self.model if each.runs == runs]))

    @precondition(lambda self: any(each.runs for each in self.model))
    @rule(data=st.data())
    def kill(self, data: Any) -> None:
        """Somebody else kills a child; the supervisor does what its policy and the strategy say."""
        victim = self.pick(data, runs=True)
        pid = next(child.pid for child in self.supervisor.which_children() if child.id == victim.id)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        if victim.restart == "temporary":
            self.model.remove(victim)
            self.watcher.until("died", victim.id)
            return
        place = self.model.index(victim)
        group = {"one_for_one": [victim], "one_for_all": list(self.model), "rest_for_one": self.model[place:]}
        for each in group[self.strategy]:
            if each.restart == "temporary":
                self.model.remove(each)
            else:
                each.runs = True
                each.starts += 1
        last = [each for each in group[self.strategy] if each.restart != "temporary"][-1]
        self.watcher.until("restarting", victim.id)
        self.watcher.until("started", last.id)

    @precondition(lambda self: any(each.runs for each in self.model))
    @rule(data=st.data())
    def terminate(self, data: Any) -> None:
        """A child is stopped on purpose: its spec stays, unless it is temporary."""
        victim = self.pick(data, runs=True)
        self.supervisor.terminate_child(victim.id)
        victim.runs = False
        if victim.restart == "temporary":
            self.model.remove(victim)

    @precondition(lambda self: any(not each.runs for each in self.model))
    @rule(data=st.data())
    def restart(self, data: Any) -> None:
        """A stopped child is started again."""
        chosen = self.pick(data, runs=False)
        self.supervisor.restart_child(chosen.id)
        chosen.runs = True
        chosen.starts += 1

    @precondition(lambda self: any(not each.runs for each in self.model))
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        """A stopped child is forgotten."""
        chosen = self.pick(data, runs=False)
        self.supervisor.delete_child(chosen.id)
        self.model.remove(chosen)

    @precondition(lambda self: len(self.model) < 5)
    @rule(policy=POLICIES)
    def add(self, policy: Any) -> None:
        """A new child comes last."""
        added = Modelled(f"c{self.made}", policy)
        self.made += 1
        self.supervisor.start_child(ChildSpec(added.id, supervised.pause, restart=policy))
        self.model.append(added)

    @precondition(lambda self: any(each.runs for each in self.model))
    @rule(data=st.data())
    def refuse(self, data: Any) -> None:
        """What runs is neither started, deleted nor added again."""
        running = self.pick(data, runs=True)
        for call in (self.supervisor.restart_child, self.supervisor.delete_child):
            with pytest.raises(ChildError):
                call(running.id)
        with pytest.raises(ChildError):
            self.supervisor.start_child(ChildSpec(running.id, supervised.pause))

    @invariant()
    def is_as_modelled(self) -> None:
        """The same children, in the same order, running or not, each started as often as it should be."""
        if not hasattr(self, "supervisor"):
            return
        children = self.supervisor.which_children()
        for child in children:
            if child.pid is not None:
                self.pids.setdefault(child.id, set()).add(child.pid)
        assert [(child.id, child.pid is not None) for child in children] == [
            (each.id, each.runs) for each in self.model
        ]
        assert {each.id: len(self.pids[each.id]) for each in self.model} == {
            each.id: each.starts for each in self.model
        }


SupervisorModel.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestSupervisor = pytest.mark.timeout(120)(SupervisorModel.TestCase)
