BEGIN TRANSACTION;
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('opened',1);
INSERT INTO "meta" VALUES('schema',1);
CREATE TABLE rows (
            table_name TEXT NOT NULL,
            partition_key TEXT NOT NULL,
            row_key TEXT NOT NULL,
            etag INTEGER NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (table_name, partition_key, row_key)
        ) WITHOUT ROWID
        ;
INSERT INTO "rows" VALUES('runs','checkout','8204391999999',1099511627778,'{"is":"succeeded","trigger":"schedule","generation":"abcdef123456","start":1795608000001000,"end":1795608000034000,"endpoint":"https://checkout.internal/health","attempts":[{"at":1795608000001000,"ms":[0.512,1.25,null,30.125,32.0],"status":200}],"tags":{"team":"payments"}}');
INSERT INTO "rows" VALUES('timeline','20261125','8204391999999@checkout',1099511627780,'"succeeded"');
INSERT INTO "rows" VALUES('timeline','days','79738874',1099511627779,'{}');
COMMIT;
