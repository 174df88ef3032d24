"""The shapes that plug-ins have: sources, streams, labels, tables, operators, sinks, models.

A plug-in is a frozen dataclass: it holds configuration, survives pickling, and does nothing. Work
begins in its `open...`, in the worker, with a `Context`; what that returns does it. Files, threads
and models that `open...` acquires are registered in `context.resources`, which is closed when the
worker stops. `check` is called while the job is built and raises what can be known then: a bad
configuration is an error, a bad image is data. Its exceptions end the job.

Some members are optional:

===================== ============================== ==============================================
member                of                             meaning, and what holds without it
===================== ============================== ==============================================
`gives`               sources, operators             fields of `ImageRecord` that it fills, as a
                                                     tuple of names, and columns of them that it
                                                     adds, as in `faces.embeddings`; without it: it
                                                     may fill any
`needs`               operators                      fields that a part before it must fill; none
`check()`             sources                        raises what can be known before a run; nothing
`commit()`            streams                        is called once all up to `position` has gone
                                                     out for good; nothing
`identity()`          all                            what must be the same for a run to go on from
                                                     its checkpoints, by name; all options
`adjustable`          sources, operators             options, as a tuple of names: of an operator
                                                     those that a `ControlSource` may change while
                                                     the job runs, of a source those that may be
                                                     others when a run goes on (`upgrade`); none
`word_options`,       all                            options, as tuples of names: the texts in the
`path_options`                                       first are words, those in the second paths of
                                                     files that need not be there yet; of others
                                                     those are paths that are there; none. A cluster
                                                     has no files of this machine
`takes_cameras`       streams                        whether messages add cameras to it, which
                                                     `context.settings` tells; False
`labels_come_later`   sources                        whether labels come behind their images; False
`max_waiting`,        streams whose labels come      how many images wait for their labels, and
`max_waiting_mib`     later                          their memory; 5 000, 256
`trainers`            learning operators             in how many places it works; 1
`commits_first`       result sinks                   whether `commit` is work that may fail; False
`is_continuous`       result sinks                   whether results appear as they come; False
`open(context)`       streams that give claims       returns the function that redeems them, as for
                                                     a source that lists its images
`ending`              result sinks                   of files that `--out` gives to it, such as
                                                     "csv"; it is made with (path, overwrite=...)
`gains_from_batches`  the function of a model        whether images of several workers are to come
                                                     in one call; False
===================== ============================== ==============================================
"""

from sightflow.protocols.context import (
    Context,
    Inference,
    Metrics,
    Place,
    Recall,
    Tables,
    Trainer,
)
from sightflow.protocols.control import ControlMessages, ControlSource
from sightflow.protocols.operators import (
    Model,
    Operator,
    Process,
    given_by,
    last_giver,
    needed_by,
)
from sightflow.protocols.sinks import (
    ContinuousSink,
    ContinuousWriter,
    ImageSink,
    Message,
    MessageSink,
    MessageWriter,
    ResultSink,
    ResultWriter,
    appears_as_it_comes,
)
from sightflow.protocols.sources import (
    MAX_WAITING,
    MAX_WAITING_MIB,
    ConnectorSource,
    LabelSource,
    LabelStream,
    Polled,
    Read,
    Source,
    Stream,
    StreamSource,
    reader_of,
)
from sightflow.protocols.stateful import (
    Fold,
    KeyedOperator,
    Learner,
    LearningOperator,
    SourceFacts,
    TakesSourceFacts,
)
from sightflow.protocols.tables import Table, TableSource, TableStream

__all__ = [
    "MAX_WAITING",
    "MAX_WAITING_MIB",
    "ConnectorSource",
    "Context",
    "ContinuousSink",
    "ContinuousWriter",
    "ControlMessages",
    "ControlSource",
    "Fold",
    "ImageSink",
    "Inference",
    "KeyedOperator",
    "LabelSource",
    "LabelStream",
    "Learner",
    "LearningOperator",
    "Message",
    "MessageSink",
    "MessageWriter",
    "Metrics",
    "Model",
    "Operator",
    "Place",
    "Polled",
    "Process",
    "Read",
    "Recall",
    "ResultSink",
    "ResultWriter",
    "Source",
    "SourceFacts",
    "Stream",
    "StreamSource",
    "Table",
    "TableSource",
    "TableStream",
    "Tables",
    "TakesSourceFacts",
    "Trainer",
    "appears_as_it_comes",
    "given_by",
    "last_giver",
    "needed_by",
    "reader_of",
]
