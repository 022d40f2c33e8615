"""Eclipse Cyclone DDS, with no ROS: sends back each text that it hears on rt/to_peer to rt/from_peer, and transforms from
rt/tf_to_peer to rt/tf_from_peer. On rt/exclusive it publishes with a policy that ROS 2 has no word for."""
import threading
from dataclasses import dataclass
from types import new_class

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.annotations import final
from cyclonedds.pub import DataWriter
from cyclonedds.idl.types import float64, int32, sequence, uint32
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration


@dataclass
@final
class String(IdlStruct, typename="std_msgs::msg::dds_::String_"):
    data: str


def structure(name, **fields):
    """A type of that name in ROS 2's mapping."""
    package, _, message = name.partition("/")
    name = f"{package}::msg::dds_::{message}_"
    made = new_class(message, (IdlStruct,), {"typename": name}, lambda body: body.update(__annotations__=fields))
    return final(dataclass(made))


Time = structure("builtin_interfaces/Time", sec=int32, nanosec=uint32)
Header = structure("std_msgs/Header", stamp=Time, frame_id=str)
Vector3 = structure("geometry_msgs/Vector3", x=float64, y=float64, z=float64)
Quaternion = structure("geometry_msgs/Quaternion", x=float64, y=float64, z=float64, w=float64)
Transform = structure("geometry_msgs/Transform", translation=Vector3, rotation=Quaternion)
TransformStamped = structure(
    "geometry_msgs/TransformStamped", header=Header, child_frame_id=str, transform=Transform
)
TFMessage = structure("tf2_msgs/TFMessage", transforms=sequence[TransformStamped])

policies = (
    Policy.Reliability.Reliable(duration(seconds=1)),
    Policy.History.KeepLast(10),
    Policy.DataRepresentation(use_cdrv0_representation=True),
)
participant = DomainParticipant()


def ends(kind, to_peer, from_peer):
    qos = Qos(*policies)
    reader = DataReader(participant, Topic(participant, to_peer, kind), qos=qos)
    return reader, DataWriter(participant, Topic(participant, from_peer, kind), qos=qos)


def echo(reader, writer):
    for sample in reader.take_iter(timeout=duration(seconds=60)):
        writer.write(sample)


exclusive = DataWriter(
    participant, Topic(participant, "rt/exclusive", String), qos=Qos(*policies, Policy.Ownership.Exclusive)
)
pairs = [ends(String, "rt/to_peer", "rt/from_peer"), ends(TFMessage, "rt/tf_to_peer", "rt/tf_from_peer")]
print('{"ready": true}', flush=True)
for pair in pairs:
    threading.Thread(target=echo, args=pair).start()
