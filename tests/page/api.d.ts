// What the page gets from the daemon (docs/interface.md), as far as it uses it.

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
  title: string;
  text: string;
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
  line: string;
  badge: string;
  announcement: string;
  flag: string | null;
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
  lesions: { count: number; volume_ml: number; lung_share: number; high_opacity_share: number } | null;
  statements: Statement[];
  flags: Flag[];
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
  notices: string[];
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
  delivers: boolean;
}

interface Session {
  access: "accounts" | "open";
  first_run: boolean;
  who: Who | null;
}
