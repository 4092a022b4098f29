"""Every workload, by name."""

from grantbench.workload import Workload
from grantbench.workloads.batches import BATCHES
from grantbench.workloads.calls import CALLS
from grantbench.workloads.documented import DOCUMENTED
from grantbench.workloads.events import EVENTS
from grantbench.workloads.floor import FLOOR
from grantbench.workloads.pipelines import PIPELINES
from grantbench.workloads.reads import READS
from grantbench.workloads.storm import STORM

WORKLOADS: dict[str, Workload] = {
    workload.name: workload for workload in (*CALLS, STORM, *READS, *BATCHES, *PIPELINES, DOCUMENTED, EVENTS, FLOOR)
}
