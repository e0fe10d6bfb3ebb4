import { ERROR, FRAME_SIZE, INITIAL_WINDOW, MAX_WINDOW, SETTING } from './protocol.ts';

/** RFC 9113 §6.5.2: what the peer said, at first what everybody starts with. */
export interface PeerSettings {
  headerTableSize: number;
  maxStreams: number;
  initialWindow: number;
  /** RFC 8441 §3. */
  extendedConnect: boolean;
}

/** Before the peer says otherwise a hundred streams are what RFC 9113 §6.5.2 recommends as the least. */
export function startSettings(): PeerSettings {
  return { headerTableSize: 4096, maxStreams: 100, initialWindow: INITIAL_WINDOW, extendedConnect: false };
}

interface Rule {
  readonly min: number;
  readonly max: number;
  /** RFC 9113 §6.5.2: the connection error for a value outside. */
  readonly error: number;
  readonly apply: (settings: PeerSettings, value: number) => void;
}

/** Checked and not followed: we push nothing, and send no frame that is larger than everybody takes. */
const NOTHING = (): void => undefined;
const ANY = { min: 0, max: 0xffff_ffff, error: ERROR.PROTOCOL_ERROR };

/** RFC 9113 §6.5.2: "An endpoint that receives a SETTINGS frame with any unknown or unsupported identifier MUST ignore that setting." */
const RULES: Readonly<Record<number, Rule | undefined>> = {
  [SETTING.HEADER_TABLE_SIZE]: { ...ANY, apply: (settings, value) => void (settings.headerTableSize = value) },
  [SETTING.ENABLE_PUSH]: { min: 0, max: 1, error: ERROR.PROTOCOL_ERROR, apply: NOTHING },
  [SETTING.MAX_CONCURRENT_STREAMS]: { ...ANY, apply: (settings, value) => void (settings.maxStreams = value) },
  [SETTING.INITIAL_WINDOW_SIZE]: { min: 0, max: MAX_WINDOW, error: ERROR.FLOW_CONTROL_ERROR, apply: (settings, value) => void (settings.initialWindow = value) },
  [SETTING.MAX_FRAME_SIZE]: { min: FRAME_SIZE, max: 0xff_ffff, error: ERROR.PROTOCOL_ERROR, apply: NOTHING },
  [SETTING.ENABLE_CONNECT_PROTOCOL]: { min: 0, max: 1, error: ERROR.PROTOCOL_ERROR, apply: (settings, value) => void (settings.extendedConnect = value === 1) },
};

/** Applies the settings of one frame; the error code of the first that is not allowed, or 0. */
export function applySettings(settings: PeerSettings, buffer: Buffer, start: number, end: number, peerIsServer: boolean): number {
  for (let at = start; at < end; at += 6) {
    const id = buffer.readUInt16BE(at);
    const value = buffer.readUInt32BE(at + 2);
    const rule = RULES[id];
    if (rule === undefined) continue;
    // RFC 9113 §6.5.2: "A server MUST NOT explicitly set this value to 1", and "A client MUST treat receipt of a SETTINGS frame with SETTINGS_ENABLE_PUSH set to 1 as a connection error".
    const push = id === SETTING.ENABLE_PUSH && value === 1 && peerIsServer;
    if (value < rule.min || value > rule.max || push) return rule.error;
    rule.apply(settings, value);
  }
  return 0;
}
