import { CLOSED } from './closed-streams.ts';
import type { Core } from './core.ts';
import { ERROR, FLAG, MAX_WINDOW, TYPE } from './protocol.ts';
import { pump, sendQueued } from './send.ts';
import { applySettings } from './settings.ts';

/** RFC 9113 §6.4. */
export function onReset<T>(core: Core<T>, id: number, code: number): void {
  // "RST_STREAM frames MUST NOT be sent for a stream in the "idle" state."
  if (core.isIdle(id)) return core.fail(ERROR.PROTOCOL_ERROR, 'RST_STREAM on a stream that nobody began');
  const stream = core.streams.get(id);
  if (stream === undefined) return void core.spend('ignored');
  // CVE-2023-44487: a request that is taken back before its answer costs its sender nothing. After it, and in the middle of a tunnel that is in use, it is usual.
  if (core.isPeers(id) && !stream.localEnded && !stream.worked && !core.spend('reset')) return;
  core.drop(stream, CLOSED.BY_PEER);
  // RFC 9113 §8.7: "REFUSED_STREAM … guarantees that a request has not been processed".
  if (stream.known) core.handler.onReset(stream, code, code === ERROR.REFUSED_STREAM);
}

/** RFC 9113 §6.5. */
export function onSettings<T>(core: Core<T>, flags: number, buffer: Buffer, start: number, end: number): void {
  if ((flags & FLAG.ACK) !== 0) {
    // "Receipt of a SETTINGS frame with the ACK flag set and a length field value other than 0 MUST be treated as a connection error … of type FRAME_SIZE_ERROR."
    if (end > start) core.fail(ERROR.FRAME_SIZE_ERROR, 'an acknowledgement with settings');
    return;
  }
  if ((end - start) % 6 !== 0) return core.fail(ERROR.FRAME_SIZE_ERROR, 'SETTINGS of a wrong size');
  if (!core.spend('settings')) return;
  const before = core.peer.initialWindow;
  const error = applySettings(core.peer, buffer, start, end, !core.isServer);
  if (error !== 0) return core.fail(error, 'a setting that is not allowed');
  core.encoder.setTableSize(core.peer.headerTableSize);
  // §6.9.2: "a receiver MUST adjust the size of all stream flow-control windows that it maintains by the difference".
  for (const stream of core.streams.values()) {
    stream.sendWindow += core.peer.initialWindow - before;
    if (stream.sendWindow > MAX_WINDOW) return core.fail(ERROR.FLOW_CONTROL_ERROR, 'a window grows too large');
  }
  core.output.frame(TYPE.SETTINGS, FLAG.ACK, 0, 0);
  pump(core);
}

/** RFC 9113 §6.7: "Receivers of a PING frame that does not include an ACK flag MUST send a PING frame with the ACK flag set in response, with an identical frame payload." */
export function onPing<T>(core: Core<T>, flags: number, buffer: Buffer, start: number): void {
  if ((flags & FLAG.ACK) !== 0) return core.pong(buffer.readUInt32BE(start + 4));
  if (!core.spend('ping')) return;
  core.output.frame(TYPE.PING, FLAG.ACK, 0, 8);
  core.output.copy(buffer, start, start + 8);
}

/** RFC 9113 §6.8: streams above the last one "were not processed" and may be tried elsewhere. */
export function onGoAway<T>(core: Core<T>, buffer: Buffer, start: number, end: number): void {
  const last = buffer.readUInt32BE(start) & 0x7fff_ffff;
  const code = buffer.readUInt32BE(start + 4);
  if (!core.spend('settings')) return;
  core.goAwayReceived = true;
  for (const stream of core.streams.values()) {
    if (core.isPeers(stream.id) || stream.id <= last) continue;
    core.drop(stream, CLOSED.BY_PEER);
    core.handler.onReset(stream, ERROR.REFUSED_STREAM, true);
  }
  core.handler.onGoAway(code, buffer.toString('latin1', start + 8, Math.min(end, start + 8 + 200)));
}

/** RFC 9113 §6.9. */
export function onWindowUpdate<T>(core: Core<T>, id: number, increment: number): void {
  if (id !== 0 && core.isIdle(id)) return core.fail(ERROR.PROTOCOL_ERROR, 'WINDOW_UPDATE on a stream that nobody began');
  if (!core.spend('windowUpdate')) return;
  const target = id === 0 ? core : core.streams.get(id);
  // §5.1: on a closed stream it is no error for a while.
  if (target === undefined) return;
  // "A receiver MUST treat the receipt of a WINDOW_UPDATE frame with a flow-control window increment of 0 as a stream error … of type PROTOCOL_ERROR; errors on the connection flow-control window MUST be treated as a connection error".
  // §6.9.1: a sender that makes a window exceed 2^31-1 gets FLOW_CONTROL_ERROR.
  const tooLarge = target.sendWindow + increment > MAX_WINDOW;
  const code = tooLarge ? ERROR.FLOW_CONTROL_ERROR : ERROR.PROTOCOL_ERROR;
  if (increment === 0 || tooLarge) {
    const reason = tooLarge ? 'a window grows too large' : 'a window update of nothing';
    return id === 0 ? core.fail(code, reason) : core.streamError(id, code, reason);
  }
  target.sendWindow += increment;
  if (core === target) pump(core);
  else {
    const stream = core.streams.get(id);
    if (stream) sendQueued(core, stream);
  }
}
