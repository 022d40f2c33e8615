/** Which messages of a recording belong together, by brute force over all stamps at once. */
import type { ros2 } from '../../nodes'

/** The stamps of headers by topic, read off the bytes. */
export async function stampsOf(bag: ros2.Bag): Promise<Map<string, bigint[]>> {
  const stamps = new Map<string, bigint[]>()
  for await (const { topic, data } of bag.messages()) {
    const stamp = BigInt(data.readInt32LE(4)) * 1_000_000_000n + BigInt(data.readUInt32LE(8))
    stamps.set(topic, [...(stamps.get(topic) ?? []), stamp])
  }
  return stamps
}

/** For each scan the image and the IMU message that are closest together with it: `image scan imu`. */
export function groupsOf(stamps: Map<string, bigint[]>, windowNs: bigint): string[] {
  const [images = [], scans = [], imus = []] = ['/camera/image', '/scan', '/imu'].map((topic) => stamps.get(topic))
  return scans.flatMap((scan) => {
    let best: { spread: bigint; group: bigint[] } | undefined
    for (const image of images) {
      for (const imu of imus) {
        const group = [image, scan, imu]
        const sorted = [...group].sort((a, b) => (a < b ? -1 : 1))
        const spread = (sorted[2] as bigint) - (sorted[0] as bigint)
        if (!best || spread < best.spread) best = { spread, group }
      }
    }
    return best && best.spread <= windowNs ? [best.group.join(' ')] : []
  })
}
