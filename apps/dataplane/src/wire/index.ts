// The engine under the listeners comes next and is the user of these names.
export type { Refusal } from './http1/refusals.ts';
export type { FieldPair, Fields } from './http1/fields.ts';
export { BODY, type RequestHead, type ResponseHead } from './http1/head.ts';
export type { MessageHandler } from './http1/reader.ts';
export { RequestReader, ResponseReader } from './http1/readers.ts';
export { compileRemoval, fieldLine, type HeadEdits, keptFields, NO_TRAILERS, type Removal, removesName, rewriteRequest, rewriteResponse, trailerLines } from './http1/rewrite.ts';
export { CHUNK_END, chunkStart, CONTINUE, LAST_CHUNK, lastChunk } from './http1/write.ts';
export { field, Field, INDEXING, KIND } from './hpack/field.ts';
export { Connection } from './h2/connection.ts';
export type { Handler, Options } from './h2/handler.ts';
export type { MessageHead } from './h2/message.ts';
export { ERROR } from './h2/protocol.ts';
export type { Stream } from './h2/stream.ts';
