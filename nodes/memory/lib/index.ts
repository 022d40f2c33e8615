export { toJson } from '../../shared/json'
export {
  AgentMemory,
  type AgentOptions,
  type ConsolidateOptions,
  type Consolidation,
  type Kind,
  type Memory,
  type Recalled,
  type RecallOptions,
  type RememberOptions,
  type Undone,
  type Weights,
} from './agent'
export {
  type Cause,
  type Change,
  type Config,
  Database,
  type Difference,
  type Event,
  type Gap,
  type HistoryOptions,
  KeyNotFoundError,
  type Kin,
  type ListOptions,
  type Moment,
  type NamespaceInfo,
  type Operation,
  type PutOptions,
  type Query,
  type QueryResult,
  type Retention,
  type Stats,
  type Suggestion,
  type Version,
  type VersionEntry,
  type WatchOptions,
  type Written,
} from './database'
export { BuiltInEmbedder, type Chunk, type ChunkOptions, diverse, type Format, fuse, WordIndex } from './embedder'
export type {
  Embeddable,
  Embedder,
  EmbeddingInfo,
  EmbedOptions,
  SearchHit,
  SearchHits,
  SearchOptions,
} from './embeddings'
export {
  type Document,
  type Ingested,
  type Passage,
  type Prompt,
  type PromptOptions,
  Rag,
  type RagOptions,
  type RetrieveOptions,
  type Source,
} from './rag'
export { embedder, RemoteEmbedder, type RemoteOptions } from './remote'
export { type VectorHit, VectorIndex, type VectorOptions, type VectorQuery, type VectorResult } from './vectors'
