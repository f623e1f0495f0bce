// What the page gets from the daemon (docs/interface.md), as far as it uses it.

/** What is said, in the language of whoever reads it; or words that there is no other language for. */
type Phrase = { text: string; parameters?: Record<string, Parameter> } | { english: string };
type Parameter = string | number | Phrase;

interface Grid {
  series_instance_uid: string;
  description: string;
  kernel: string;
  judged: boolean;
  rows: number;
  columns: number;
  /** Between rows and between columns. */
  spacing_mm: [number, number];
  orientation: number[];
  from_plane: [number, number, number, number, number, number] | null;
}

interface Slice {
  grid: number;
  z_mm: number;
  position_mm: number[];
  instance_number: number | null;
  frame_number: number | null;
  sop_instance_uid: string;
  slab: number | null;
  hounsfield: string;
}

interface SliceList {
  grids: Grid[];
  slices: Slice[];
}

type Outline = [number, number][];

interface Slab {
  index: number;
  z_mm: number;
  lung_cm2: number;
  lesion_cm2: number;
  attention: number;
  logit: number;
  score: number | null;
  lung: Outline[];
  lesion: Outline[];
}

interface Moment {
  at: string;
  event: string;
  words: string;
  phrase: Phrase;
  score: number | null;
  scan_share: number | null;
  driving_slabs: { z_mm: number }[];
}

interface Flag {
  id: string;
  kind: string;
  severity: string;
  state: string;
  open: boolean;
  /** In English, as all words that have phrases beside them. */
  title: string;
  text: string;
  phrases: { subject: Phrase; title: Phrase; text: Phrase };
  raised: string;
  after_slices: number;
  score: number | null;
  acknowledged: { by: string; at: string } | null;
  life: Moment[];
}

interface Statement {
  code: string;
  kind: string;
  level: string;
  action: string;
  alarm: "medium" | "low" | "none";
  lead: string;
  headline: string;
  detail: string;
  badge: string;
  line: string;
  announcement: string;
  phrases: { lead?: Phrase; headline: Phrase; detail?: Phrase; line: Phrase; badge: Phrase; announcement?: Phrase };
  flag: string | null;
}

interface Ask {
  class: string;
  since: string;
  overdue: string;
}

interface Urgency {
  class: string;
  asks: Ask[];
}

interface Outcome {
  kind: string;
  verdict: string | null;
  by: string;
  at: string;
}

interface OutcomeFigures {
  since: string | null;
  counts: { true_alarms: number; false_alarms: number; unclear_alarms: number; open_alarms: number; missed: number; true_negatives: number };
  predictive_value: { count: number; of: number; value: number | null; interval: [number, number] | null };
  fewest_cases: number;
}

interface Exam {
  key: string;
  state: "receiving" | "trailing" | "complete";
  stage: string;
  patient: { name: string; id: string; birth_date: string; sex: string };
  scanner: string;
  description: string;
  started: string;
  last_slice: string | null;
  slices: { received: number; analysed: number; kept: number; failed: number; refused: number; expected: number | null };
  z_mm: [number, number] | null;
  slabs: number;
  score: number | null;
  threshold: { early: number; suspected: number };
  verdict: string | null;
  reason: string;
  phrases: { reason?: Phrase };
  lesions: { count: number; volume_ml: number; lung_share: number; high_opacity_share: number } | null;
  statements: Statement[];
  flags: Flag[];
  urgency: Urgency;
  filters: string[];
  outcome: Outcome | null;
  outcomes: Outcome[];
  outcome_choices: string[];
  waiting?: { place: number };
}

interface Lesion {
  volume_ml: number;
  mean_hu: number;
  zone: string;
  largest_extent_mm: number;
  centre_mm: number[];
  z_mm: number[];
  key_slab: number;
  ground_glass_share: number;
  consolidation_share: number;
}

interface QualityIssue {
  text: string;
  phrase: Phrase;
  z_mm?: number;
}

interface Report {
  revised: boolean;
  lesions: Lesion[];
  quality: QualityIssue[];
  zone_score: { total: number } | null;
  timing: { first_slice_to_verdict_ms: number };
}

interface Delivery {
  revision: number;
  destination: string;
  kind: string;
  state: string;
  count: number;
  reason: string | null;
  queued: string;
  changed: string;
}

interface DaemonStatus {
  version: string;
  ready: boolean;
  problems: string[];
  problem_phrases: Phrase[];
  notices: string[];
  notice_phrases: Phrase[];
  destinations: { name: string; to_send: number; unconfirmed: number; dead: number; trouble: string | null }[];
  engine: string;
  model: string;
  ae_title: string;
  dicom_address: string;
  port: number;
}

type Role = "technician" | "clinic" | "administrator" | "reader" | "table";

interface Who {
  name: string | null;
  shown_as: string | null;
  role: Role | null;
  sees_exams: boolean;
  acknowledges: boolean;
  records_outcomes: boolean;
  delivers: boolean;
}

interface Session {
  access: "accounts" | "open";
  openid: boolean;
  first_run: boolean;
  who: Who | null;
}

interface Person {
  name: string;
  shown_as: string;
  role: Role;
  created: string;
  disabled: string | null;
  sessions: number;
}

interface PersonSession {
  id: string;
  name: string;
  shown_as: string;
  role: Role;
  address: string | null;
  started: string;
  used: string;
  ends_unused: string;
  ends: string;
  own: boolean;
}

interface Kiosk {
  name: string;
  addresses: string[];
  created: string;
  seen: { at: string; address: string } | null;
}

interface CallerSeen {
  address: string;
  associations: number;
  associations_refused: number;
  last_called: string | null;
  stored: number;
  refused: number;
  last_stored: string | null;
  last_refused: string | null;
}

interface SeenScanner {
  ae_title: string;
  listed: boolean | null;
  exams_today: number;
  last_exam: string | null;
  addresses: CallerSeen[];
}

interface Machine {
  version: string;
  started: string;
  engine: {
    serves: string;
    model: string;
    source: string;
    next: string | null;
    gpu_failure: string | null;
    shadow: { package: string; works: boolean } | null;
  };
  disk: {
    folder: string;
    database_bytes: number;
    room: { used_bytes: number; free_bytes: number; keep_days: number | null; quota_bytes: number | null; min_free_bytes: number } | null;
  };
  certificates: { of: string; file: string; valid_until: string | null }[];
}
