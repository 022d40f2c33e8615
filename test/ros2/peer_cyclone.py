"""Eclipse Cyclone DDS, with no ROS: sends back each text that it hears on rt/to_peer to rt/from_peer."""
from dataclasses import dataclass

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.annotations import final
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration


@dataclass
@final
class String(IdlStruct, typename="std_msgs::msg::dds_::String_"):
    data: str


qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(10), Policy.DataRepresentation(use_cdrv0_representation=True))
participant = DomainParticipant()
reader = DataReader(participant, Topic(participant, "rt/to_peer", String), qos=qos)
writer = DataWriter(participant, Topic(participant, "rt/from_peer", String), qos=qos)
print('{"ready": true}', flush=True)
for sample in reader.take_iter(timeout=duration(seconds=60)):
    writer.write(sample)
