//! The layout of the database, and the ways to it from earlier ones. `user_version` names the layout; the migrations are never
//! changed once they are released.

use std::sync::LazyLock;

use rusqlite_migration::{M, Migrations};

use super::version_1;

/// Layout 1: an exam is one JSON document.
const DOCUMENTS: &str = "
CREATE TABLE IF NOT EXISTS exam (key TEXT PRIMARY KEY, started TEXT NOT NULL, record TEXT NOT NULL) STRICT;
";

/// Layout 2: columns. Times are microseconds since 1970 UTC, `study` is what the keys of one study's exams begin with. A
/// mask is its words, 64 pixels each, little endian, as one DEFLATE stream.
const COLUMNS: &str = "
ALTER TABLE exam RENAME TO document;
CREATE TABLE exam (
    key TEXT PRIMARY KEY,
    study TEXT NOT NULL,
    state TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    patient_birth_date TEXT NOT NULL,
    patient_sex TEXT NOT NULL,
    scanner TEXT NOT NULL,
    description TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    last_slice_us INTEGER,
    updated_us INTEGER NOT NULL,
    images_received INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    slices_analysed INTEGER NOT NULL,
    images_kept INTEGER NOT NULL,
    slices_failed INTEGER NOT NULL,
    objects_refused INTEGER NOT NULL,
    instances_replaced INTEGER NOT NULL,
    images_expected INTEGER,
    lowest_mm REAL,
    highest_mm REAL,
    slabs INTEGER NOT NULL,
    score REAL,
    threshold_early REAL NOT NULL,
    threshold_suspected REAL NOT NULL,
    verdict TEXT,
    reason TEXT NOT NULL,
    revised INTEGER NOT NULL,
    lesions INTEGER,
    lesion_ml REAL,
    lesion_lung_share REAL,
    lesion_high_opacity_share REAL
) STRICT;
CREATE INDEX exam_by_start ON exam (started_us);
CREATE INDEX exam_by_study ON exam (study);
CREATE TABLE report (
    exam TEXT PRIMARY KEY REFERENCES exam (key) ON DELETE CASCADE,
    report TEXT NOT NULL
) STRICT;
CREATE TABLE slab (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    slab INTEGER NOT NULL,
    z_mm REAL NOT NULL,
    lung_cm2 REAL NOT NULL,
    lesion_cm2 REAL NOT NULL,
    attention REAL NOT NULL,
    logit REAL NOT NULL,
    score REAL,
    mask_rows INTEGER NOT NULL,
    mask_columns INTEGER NOT NULL,
    lung_mask BLOB NOT NULL,
    lesion_mask BLOB NOT NULL,
    image_path TEXT,
    image_frame INTEGER,
    centre_x_mm REAL,
    centre_y_mm REAL,
    PRIMARY KEY (exam, slab)
) STRICT, WITHOUT ROWID;
CREATE TABLE flag (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    text TEXT NOT NULL,
    remedy TEXT,
    raised_us INTEGER NOT NULL,
    after_slices INTEGER NOT NULL,
    score REAL,
    acknowledged_by TEXT,
    acknowledged_us INTEGER,
    PRIMARY KEY (exam, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE flag_moment (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    flag INTEGER NOT NULL,
    place INTEGER NOT NULL,
    event TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    score REAL,
    slices INTEGER NOT NULL,
    scan_share REAL,
    driving_slabs TEXT NOT NULL,
    PRIMARY KEY (exam, flag, place)
) STRICT, WITHOUT ROWID;
";

/// Layout 3: what reports were made from. `described_by` is a file that says whose exam it is; an image's place is its order in z.
/// The runs of a segmented slab are nine bytes each, little endian, as one DEFLATE stream: row, first column, column behind the last
/// one, 0 for the right lung or 1 for the left one, number of the lesion from 1 or 0 for none.
const REPORT_BASIS: &str = "
CREATE TABLE report_basis (
    exam TEXT PRIMARY KEY REFERENCES exam (key) ON DELETE CASCADE,
    concluded_us INTEGER NOT NULL,
    described_by TEXT,
    mask_rows INTEGER,
    mask_columns INTEGER,
    mask_pixel_mm REAL
) STRICT;
CREATE TABLE source_image (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    sop_class_uid TEXT NOT NULL,
    sop_instance_uid TEXT NOT NULL,
    series_instance_uid TEXT NOT NULL,
    frame_number INTEGER,
    image_rows INTEGER NOT NULL,
    image_columns INTEGER NOT NULL,
    position_x_mm REAL NOT NULL,
    position_y_mm REAL NOT NULL,
    position_z_mm REAL NOT NULL,
    along_row_x REAL NOT NULL,
    along_row_y REAL NOT NULL,
    along_row_z REAL NOT NULL,
    along_column_x REAL NOT NULL,
    along_column_y REAL NOT NULL,
    along_column_z REAL NOT NULL,
    between_rows_mm REAL NOT NULL,
    between_columns_mm REAL NOT NULL,
    thickness_mm REAL,
    slab INTEGER NOT NULL,
    centre_x_mm REAL NOT NULL,
    centre_y_mm REAL NOT NULL,
    path TEXT NOT NULL,
    frame INTEGER NOT NULL,
    PRIMARY KEY (exam, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE segmented_slab (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    slab INTEGER NOT NULL,
    runs BLOB NOT NULL,
    PRIMARY KEY (exam, slab)
) STRICT, WITHOUT ROWID;
";

/// Layout 4: the outbox. A revision is a verdict that says something new; `content` is the SHA-256 of what it says. A delivery with part 0
/// stands for objects that are not made yet. Of notifications `revision` counts the states that a destination was told.
const OUTBOX: &str = "
CREATE TABLE revision (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    concluded_us INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (exam, revision)
) STRICT, WITHOUT ROWID;
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    destination TEXT NOT NULL,
    part INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    queued_us INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    path TEXT,
    sop_class_uid TEXT,
    sop_instance_uid TEXT,
    series_instance_uid TEXT,
    transfer_syntax_uid TEXT,
    sha256 TEXT,
    notice TEXT,
    transaction_uid TEXT,
    asked INTEGER NOT NULL DEFAULT 0,
    not_before_us INTEGER NOT NULL DEFAULT 0,
    may_have_arrived INTEGER NOT NULL DEFAULT 0,
    UNIQUE (exam, revision, kind, destination, part)
) STRICT;
CREATE INDEX delivery_by_destination ON delivery (destination, state, exam);
CREATE INDEX delivery_by_transaction ON delivery (transaction_uid) WHERE transaction_uid IS NOT NULL;
CREATE INDEX delivery_unmade ON delivery (id) WHERE part = 0 AND state = 'queued';
";

/// Layout 5: what shadow models say of exams, beside what people were told. Of `verdict` and `failure` exactly one is there. A package's
/// SHA-256 is that of its model.toml, which names those of its weights.
const SHADOW_RESULTS: &str = "
CREATE TABLE shadow_result (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    package_sha256 TEXT NOT NULL,
    model TEXT NOT NULL,
    weights_sha256 TEXT NOT NULL,
    judged_us INTEGER NOT NULL,
    worked_s REAL NOT NULL,
    verdict TEXT,
    probability REAL,
    suspected_from REAL,
    lung_ml REAL,
    lesion_ml REAL,
    failure TEXT,
    production_model TEXT NOT NULL,
    production_weights_sha256 TEXT NOT NULL,
    production_verdict TEXT NOT NULL,
    production_probability REAL,
    production_suspected_from REAL NOT NULL,
    production_lung_ml REAL NOT NULL,
    production_lesion_ml REAL NOT NULL,
    PRIMARY KEY (exam, revision, package_sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX shadow_result_by_package ON shadow_result (package_sha256, exam);
";

/// Layout 6: what is open or new is found without a look at all that ever was.
const INDEXES: &str = "
CREATE INDEX delivery_by_state ON delivery (state, destination);
CREATE INDEX revision_by_time ON revision (concluded_us);
CREATE INDEX report_basis_by_time ON report_basis (concluded_us, exam);
";

/// Layout 7: who may use the console. Of tokens only the SHA-256 is kept. `addresses` are networks, a space between them.
const ACCOUNTS: &str = "
CREATE TABLE account (
    name TEXT PRIMARY KEY,
    shown_as TEXT NOT NULL,
    role TEXT NOT NULL,
    password_salt BLOB NOT NULL,
    password_hash BLOB NOT NULL,
    password_memory_kib INTEGER NOT NULL,
    password_passes INTEGER NOT NULL,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    token_sha256 BLOB PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    started_us INTEGER NOT NULL,
    used_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_account ON session (account);
CREATE TABLE kiosk (
    name TEXT PRIMARY KEY,
    token_sha256 BLOB NOT NULL UNIQUE,
    addresses TEXT NOT NULL,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE setup_link (
    token_sha256 BLOB PRIMARY KEY,
    expires_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Layout 8: what stands as English text elsewhere, for people who read another language: the reason of the exam's verdict (`said_by` is
/// `reason`), and the text of a flag (its kind). A phrase is the JSON of `texts::Phrase`.
const PHRASES: &str = "
CREATE TABLE phrase (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    said_by TEXT NOT NULL,
    phrase TEXT NOT NULL,
    PRIMARY KEY (exam, said_by)
) STRICT, WITHOUT ROWID;
";

/// Layout 9: what an administrator sees of people, sessions and scanners. `disabled_us` is since when somebody may not log in; `address` is
/// from where somebody has logged in.
const ADMINISTRATION: &str = "
ALTER TABLE account ADD COLUMN disabled_us INTEGER;
ALTER TABLE session ADD COLUMN address TEXT;
CREATE INDEX exam_by_scanner ON exam (scanner, started_us);
";

/// Layout 10: what became of verdicts, as radiologists answered. The last of an exam counts; none is changed or taken away. `verdict` is
/// the one that it is about, absent where there was none.
const OUTCOMES: &str = "
CREATE TABLE outcome (
    exam TEXT NOT NULL REFERENCES exam (key) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    verdict TEXT,
    recorded_by TEXT NOT NULL,
    recorded_us INTEGER NOT NULL,
    PRIMARY KEY (exam, place)
) STRICT, WITHOUT ROWID;
";

/// Layout 11: whom an OpenID provider names.
const IDENTITIES: &str = "
CREATE TABLE identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account TEXT NOT NULL UNIQUE REFERENCES account (name) ON DELETE CASCADE,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
";

/// All migrations; the last one's number is the layout that this program knows.
pub(super) static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(DOCUMENTS),
        M::up_with_hook(COLUMNS, version_1::move_into_columns),
        M::up(REPORT_BASIS),
        M::up(OUTBOX),
        M::up(SHADOW_RESULTS),
        M::up(INDEXES),
        M::up(ACCOUNTS),
        M::up(PHRASES),
        M::up(ADMINISTRATION),
        M::up(OUTCOMES),
        M::up(IDENTITIES),
    ])
});

/// The layout that this program writes.
pub(super) const LAYOUT: usize = 11;
