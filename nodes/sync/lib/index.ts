export { SyncGroup } from '../../shared/group'
export type { LiveOptions, SyncOptions } from './options'
export {
  type Dropped,
  type DropReason,
  type MatchStatus,
  type PushOutcome,
  Synchronizer,
  type SyncStats,
} from './synchronizer'
export { arrivalClock, parseStamp, type StampUnit, stampUnits } from './timestamps'
