import os
import pipeline.engine.loop as L
import pipeline.decide.pace as pace
import pipeline.engine.perform as P
import pipeline.decide.run_steps as R
from pipeline.errors import ReleaseError
from pipeline.model import event as e
_j = L.judge
def judge(*a):
    try:
        return _j(*a)
    except ReleaseError as f:
        return e.Verdict.NO_DATA, f.problem
L.judge = judge
M=os.environ["MUT"]
if M=="strict":
    o=pace.may_start
    pace.may_start=lambda w,**k: o(w,**k)+1
if M=="region":
    import dataclasses
    o=pace.next_claims
    def nc(plan, number, run, targets):
        w=plan.waves[number]; c=[t for t in w.targets if t not in run.waves[number].claimed and targets[t].phase is pace.Phase.PENDING]
        fl=pace.in_flight_in(w, run.waves[number].claimed, targets)
        room=pace.may_start(w, failed=len(pace.failed_in(w,run,targets)), in_flight=len(fl), healthy_so_far=sum(1 for t in targets.values() if t.phase is pace.Phase.HEALTHY))
        return tuple(c[:room])
    R.next_claims=nc
if M=="bake":
    R._baking.__globals__["_baking"]
    o=R._baking
    from datetime import timedelta
    def b(plan,number,run,targets,now): return o(plan,number,run,targets,now+timedelta(minutes=5))
    R._baking=b
if M=="prev":
    import pipeline.model.target_state as T
    o=T._observed
    def ob(state, seen, at):
        s=o(state,seen,at)
        import dataclasses
        return dataclasses.replace(s, previous_good=state.goods[0] if state.goods else None) if not state.captured and s.captured else s
    T._observed=ob
if M=="nolook":
    # an execution whose answer never came is simply given up
    from pipeline.engine.perform import Said
    def c(world, runner, job): return Said((e.TargetFailed(reason="?", fault=e.Fault.ACCOUNT),))
    P._clear_then_look=c
from tests.properties.test_runs import *
from tests.properties.test_kill_sweep import *
