import type { Field } from '../hpack/field.ts';
import { CLOSED } from './closed-streams.ts';
import type { Core } from './core.ts';
import { ERROR, FLAG, FRAME_SIZE, TYPE } from './protocol.ts';
import type { Stream } from './stream.ts';

/** Data waits in its stream while this much output is not taken: a slow connection holds no more than this. */
const MAX_OUTPUT = 256 * 1024;

/** RFC 9113 §6.2 and §6.10: a header block as HEADERS and, beyond one frame, CONTINUATION. */
export function sendHeaders<T>(core: Core<T>, stream: Stream<T>, fields: readonly Field[], end: boolean): void {
  const { encoder, output } = core;
  const length = encoder.encode(fields);
  const first = Math.min(length, FRAME_SIZE);
  output.frame(TYPE.HEADERS, (first === length ? FLAG.END_HEADERS : 0) | (end ? FLAG.END_STREAM : 0), stream.id, first);
  output.copy(encoder.buffer, 0, first);
  for (let at = first; at < length; at += FRAME_SIZE) {
    const stop = Math.min(length, at + FRAME_SIZE);
    output.frame(TYPE.CONTINUATION, stop === length ? FLAG.END_HEADERS : 0, stream.id, stop - at);
    output.copy(encoder.buffer, at, stop);
  }
  if (end) endLocal(core, stream);
}

/** Sends what the windows allow and queues the rest. False when something waits. */
export function sendData<T>(core: Core<T>, stream: Stream<T>, data: Buffer, end: boolean): boolean {
  const { length } = data;
  const fits = stream.queued === 0 && length <= Math.min(stream.sendWindow, core.sendWindow, FRAME_SIZE) && core.output.bytes < MAX_OUTPUT;
  // An end by itself needs no window.
  if ((fits || (length === 0 && stream.queued === 0)) && !stream.endQueued) {
    if (length > 0 || end) dataFrame(core, stream, data, 0, length, end);
    if (end) endLocal(core, stream);
    return true;
  }
  if (length > 0) stream.queue.push(data);
  stream.queued += length;
  stream.endQueued ||= end;
  core.waiting.add(stream);
  while (core.waiting.has(stream) && sendFrame(core, stream, false));
  return stream.queued === 0;
}

/** Sends what waits in all streams, a frame of each in turn, as far as windows and output allow. */
export function pump<T>(core: Core<T>): void {
  let progress = core.waiting.size > 0;
  while (progress) {
    progress = false;
    for (const stream of core.waiting) if (sendFrame(core, stream, true)) progress = true;
  }
}

/** Sends what waits in one stream. */
export function sendQueued<T>(core: Core<T>, stream: Stream<T>): void {
  while (core.waiting.has(stream) && sendFrame(core, stream, true));
}

/** Ends streams whose peer did not let a byte of what waits go for `limit` seconds: a window that stays shut must not hold a call for ever. */
export function endStuck<T>(core: Core<T>, seconds: number, limit: number): void {
  for (const stream of core.waiting) {
    stream.stuck += seconds;
    if (stream.stuck < limit) continue;
    core.drop(stream, CLOSED.BY_US);
    core.sendReset(stream.id, ERROR.CANCEL);
    if (stream.known) core.handler.onReset(stream, ERROR.CANCEL, false);
  }
}

/** Sends one frame of a stream's queue. False when it must wait on. */
function sendFrame<T>(core: Core<T>, stream: Stream<T>, tell: boolean): boolean {
  const [head] = stream.queue;
  const room = Math.min(stream.sendWindow, core.sendWindow, FRAME_SIZE);
  if (core.output.bytes >= MAX_OUTPUT || (head !== undefined && room <= 0)) return false;
  if (head !== undefined) sendPiece(core, stream, head, room);
  if (stream.queued > 0) return true;
  core.waiting.delete(stream);
  if (stream.endQueued) finish(core, stream);
  if (tell) core.handler.onDrain(stream);
  return true;
}

function sendPiece<T>(core: Core<T>, stream: Stream<T>, head: Buffer, room: number): void {
  const start = stream.queueOffset;
  const stop = Math.min(head.length, start + room);
  stream.queued -= stop - start;
  stream.stuck = 0;
  stream.queueOffset = stop;
  if (stop === head.length) {
    stream.queue.shift();
    stream.queueOffset = 0;
  }
  const last = stream.queued === 0 && stream.endQueued && stream.trailers === null;
  dataFrame(core, stream, head, start, stop, last);
  if (last) stream.localEnded = true;
}

/** The end after the queue: with the last piece, with trailers, or alone. */
function finish<T>(core: Core<T>, stream: Stream<T>): void {
  if (stream.trailers !== null) return sendHeaders(core, stream, stream.trailers, true);
  if (!stream.localEnded) dataFrame(core, stream, EMPTY, 0, 0, true);
  endLocal(core, stream);
}

const EMPTY = Buffer.alloc(0);

function dataFrame<T>(core: Core<T>, stream: Stream<T>, data: Buffer, start: number, stop: number, end: boolean): void {
  const length = stop - start;
  stream.sendWindow -= length;
  core.sendWindow -= length;
  core.output.frame(TYPE.DATA, end ? FLAG.END_STREAM : 0, stream.id, length);
  if (length > 0) {
    stream.worked = true;
    core.output.payload(data, start, stop);
  }
  core.budgets.earn('windowUpdate', 3);
  // gRPC measures the path by a PING for each batch of data that it gets.
  core.budgets.earn('ping', 1);
}

function endLocal<T>(core: Core<T>, stream: Stream<T>): void {
  stream.localEnded = true;
  core.endedBySide(stream);
}
