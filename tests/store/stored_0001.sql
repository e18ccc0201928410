BEGIN TRANSACTION;
CREATE TABLE action (
	seq INTEGER NOT NULL, 
	id BLOB NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_at_ms BIGINT NOT NULL, 
	kind SMALLINT NOT NULL, 
	shopper_row INTEGER NOT NULL, 
	item_row INTEGER, 
	quantity DOUBLE, 
	price_micros BIGINT, 
	value_minor BIGINT, 
	currency TEXT, 
	order_id TEXT, 
	surface TEXT, 
	slate_id TEXT, 
	slot INTEGER, 
	session_id TEXT, 
	platform TEXT, 
	device TEXT, 
	locale TEXT, 
	"query" TEXT, 
	rating DOUBLE, 
	text TEXT, 
	seconds DOUBLE, 
	score DOUBLE, 
	coupon TEXT, 
	extra TEXT, 
	PRIMARY KEY (seq)
);
INSERT INTO "action" VALUES(7,X'018BCFE568007000800000000000ABCD',1700000000000,1700000000000,15,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'杯',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "action" VALUES(8,'ana-1',1700000000000,1700000000000,3,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0.1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE alias (
	seq INTEGER NOT NULL, 
	shopper_row INTEGER NOT NULL, 
	alias_row INTEGER NOT NULL, 
	undo INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_at_ms BIGINT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "alias" VALUES(3,0,2,0,1700000000000,1700000000000);
CREATE TABLE consent (
	seq INTEGER NOT NULL, 
	shopper_row INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_at_ms BIGINT NOT NULL, 
	granted TEXT NOT NULL, 
	denied TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "consent" VALUES(4,0,1700000000000,1700000000000,'["messages"]','[]',X'C5E9899B4264BD2FBD53C42806717AE6');
CREATE TABLE erasure (
	shopper_row INTEGER NOT NULL, 
	created_ms BIGINT NOT NULL, 
	erased_ms BIGINT NOT NULL, 
	PRIMARY KEY (shopper_row)
);
CREATE TABLE item (
	seq INTEGER NOT NULL, 
	item_row INTEGER NOT NULL, 
	valid_from_ms BIGINT NOT NULL, 
	received_at_ms BIGINT NOT NULL, 
	deleted INTEGER NOT NULL, 
	digest BLOB NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "item" VALUES(1,0,1700000000000,1700000000000,0,X'91E1A26D62336A1186E4E920F75FA7D7','{"id":"cup","title":"Cup"}');
CREATE TABLE item_key (
	"row" INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	PRIMARY KEY ("row"), 
	CONSTRAINT item_key_id UNIQUE (id)
);
INSERT INTO "item_key" VALUES(0,'cup');
CREATE TABLE ledger (
	one INTEGER NOT NULL, 
	last_seq BIGINT NOT NULL, 
	n_items INTEGER NOT NULL, 
	n_shoppers INTEGER NOT NULL, 
	epoch BIGINT NOT NULL, 
	lineage TEXT NOT NULL, 
	n_action BIGINT NOT NULL, 
	n_item BIGINT NOT NULL, 
	n_shopper BIGINT NOT NULL, 
	n_link BIGINT NOT NULL, 
	n_alias BIGINT NOT NULL, 
	n_consent BIGINT NOT NULL, 
	n_shown BIGINT NOT NULL, 
	PRIMARY KEY (one)
);
INSERT INTO "ledger" VALUES(1,8,1,3,1,'03a1438e899e4834ac306b6c1641f36e',2,1,1,1,1,1,1);
CREATE TABLE link (
	seq INTEGER NOT NULL, 
	edge BLOB NOT NULL, 
	kind TEXT NOT NULL, 
	head TEXT, 
	head_row INTEGER, 
	relation TEXT, 
	tail TEXT, 
	tail_row INTEGER, 
	weight DOUBLE NOT NULL, 
	deleted INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_at_ms BIGINT NOT NULL, 
	digest BLOB NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "link" VALUES(5,X'1D93535210E3EED3302969259E8BAF06','friend',NULL,0,NULL,NULL,1,1.0,0,1700000000000,1700000000000,X'50D8F538C41CAFE2667C9CA57CD25920');
CREATE TABLE shopper (
	seq INTEGER NOT NULL, 
	shopper_row INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_at_ms BIGINT NOT NULL, 
	digest BLOB NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "shopper" VALUES(2,0,1700000000000,1700000000000,X'F4ECA6A6BF6415289265D3DFDE5A1600','{"country":"DE","locale":null,"traits":null}');
CREATE TABLE shopper_key (
	"row" INTEGER NOT NULL, 
	id TEXT, 
	created_ms BIGINT NOT NULL, 
	first_action_seq BIGINT, 
	PRIMARY KEY ("row"), 
	CONSTRAINT shopper_key_id UNIQUE (id)
);
INSERT INTO "shopper_key" VALUES(0,'ana',1700000000000,7);
INSERT INTO "shopper_key" VALUES(1,'bob',1700000000000,NULL);
INSERT INTO "shopper_key" VALUES(2,'cookie',1700000000000,NULL);
CREATE TABLE shown (
	seq INTEGER NOT NULL, 
	id BLOB NOT NULL, 
	at_ms BIGINT NOT NULL, 
	received_at_ms BIGINT NOT NULL, 
	shopper_row INTEGER, 
	surface TEXT NOT NULL, 
	snapshot TEXT NOT NULL, 
	arm TEXT NOT NULL, 
	first_slot INTEGER NOT NULL, 
	fallback TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "shown" VALUES(6,'s1',1700000000000,1700000000000,0,'home','','',0,'',X'22247867B3CCDE3DD5940846D30D54C0','[["cup"],[1.0],[1.0],["popular"]]');
CREATE UNIQUE INDEX action_id ON action (id);
CREATE INDEX action_shopper ON action ((seq >> 15), shopper_row, at_ms);
CREATE INDEX alias_of ON alias (alias_row);
CREATE INDEX consent_of ON consent (shopper_row);
CREATE INDEX item_of ON item (item_row);
CREATE INDEX link_edge ON link (edge);
CREATE INDEX link_head ON link (head_row);
CREATE INDEX link_tail ON link (tail_row);
CREATE INDEX shopper_of ON shopper (shopper_row);
CREATE UNIQUE INDEX shown_id ON shown (id);
CREATE INDEX shown_shopper ON shown (shopper_row);
COMMIT;
