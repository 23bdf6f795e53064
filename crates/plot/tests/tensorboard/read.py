"""Prints what TensorBoard's own readers find in the event file named on the command line, as one JSON object."""

import json
import math
import sys

from tensorboard.backend.event_processing import (
    event_accumulator,
    event_file_loader,
    plugin_event_accumulator,
)
from tensorboard.util import tensor_util

EVERYTHING = {"scalars": 0, "images": 0, "tensors": 0, "histograms": 0, "compressedHistograms": 0}


def number(value):
    """JSON has no NaN and no infinities: they become strings."""
    return value if math.isfinite(value) else str(value)


def tensor(event):
    return tensor_util.make_ndarray(event.tensor_proto)


path = sys.argv[1]
# All readers stop quietly at a record whose checksums are wrong: the number of records tells.
records = list(event_file_loader.LegacyEventFileLoader(path).Load())

old = event_accumulator.EventAccumulator(path, size_guidance=EVERYTHING).Reload()
# The accumulator behind the web server: it turns scalars and images into tensors of a plugin.
new = plugin_event_accumulator.EventAccumulator(path, tensor_size_guidance={"text": 0, "images": 0}).Reload()

tags = old.Tags()
print(
    json.dumps(
        {
            "records": len(records),
            "version": records[0].file_version,
            "scalars": {
                tag: [[e.wall_time, e.step, number(e.value)] for e in old.Scalars(tag)] for tag in tags["scalars"]
            },
            "images": {
                tag: [
                    [e.wall_time, e.step, e.width, e.height, e.encoded_image_string.hex()] for e in old.Images(tag)
                ]
                for tag in tags["images"]
            },
            "channels": [
                value.image.colorspace
                for record in records
                for value in record.summary.value
                if value.HasField("image")
            ],
            "texts": {
                tag: [[e.wall_time, e.step, tensor(e).item().decode()] for e in old.Tensors(tag)]
                for tag in tags["tensors"]
            },
            "plugins": {
                tag: new.SummaryMetadata(tag).plugin_data.plugin_name for tag in new.Tags()["tensors"]
            },
        },
        allow_nan=False,
    )
)
