-- RFM and affinities as features/ computes them, as DuckDB says it best. Views events, items, given (one row of settings).
CREATE TEMP TABLE bought AS
SELECT user_id, date_diff('day', max(event_date), (SELECT as_of FROM given)) AS recency,
    count(DISTINCT session_id) AS frequency, sum(amount) AS monetary
FROM events WHERE event_type = 'purchase' GROUP BY user_id;

CREATE TEMP VIEW rfm AS
WITH bounds AS (
    SELECT quantile_disc(-recency, [0.2, 0.4, 0.6, 0.8]) AS r, quantile_disc(frequency, [0.2, 0.4, 0.6, 0.8]) AS f,
        quantile_disc(monetary, [0.2, 0.4, 0.6, 0.8]) AS m
    FROM bought
)
SELECT bought.*, 1 + len(list_filter(bounds.r, lambda bound: -recency > bound)) AS r,
    1 + len(list_filter(bounds.f, lambda bound: frequency > bound)) AS f,
    1 + len(list_filter(bounds.m, lambda bound: monetary > bound)) AS m
FROM bought, bounds;

CREATE TEMP TABLE keys AS
WITH bounds AS (SELECT quantile_disc(price, [0.2, 0.4, 0.6, 0.8]) AS prices FROM items)
SELECT item_id, given.levels[level] AS dimension, array_to_string(category[1:level], ' > ') AS key
FROM items, given, generate_series(1, len(given.levels)) AS series(level)
WHERE level <= len(category) OR (len(category) = 1 AND level = given.category_levels)
UNION ALL
SELECT item_id, 'brand', brand FROM items
UNION ALL
SELECT item_id, 'price_band',
    given.price_bands[1 + len(list_filter(bounds.prices, lambda bound: price > bound))]
FROM items, bounds, given;

CREATE TEMP TABLE faded AS
SELECT user_id, item_id, event_time, event_date, device, country, weights.weight,
    pow(0.5, date_diff('day', event_date, given.as_of) / given.half_life) AS faded,
    pow(0.5, date_diff('day', event_date, given.as_of) / given.recent_half_life) AS recent
FROM events, given, weights WHERE weights.event_type = events.event_type;

CREATE TEMP TABLE by_item AS
SELECT user_id, item_id, sum(weight * faded) AS score, sum(weight * recent) AS recent_score, count(*) AS evidence
FROM faded GROUP BY user_id, item_id;

CREATE TEMP TABLE by_key AS
SELECT user_id, dimension, key, sum(score) AS score, sum(recent_score) AS recent_score, sum(evidence) AS evidence
FROM by_item JOIN keys USING (item_id) GROUP BY user_id, dimension, key;

CREATE TEMP TABLE population AS
SELECT dimension, key, sum(score) / sum(sum(score)) OVER (PARTITION BY dimension) AS population
FROM by_key GROUP BY dimension, key;

CREATE TEMP VIEW affinities AS
WITH pieces AS (
    SELECT * FROM by_key
    UNION ALL
    SELECT user_id, 'daypart', dayparts[1 + hour(event_time) // 6] AS part, sum(faded), NULL, count(*)
    FROM faded, given GROUP BY user_id, part
    UNION ALL
    SELECT user_id, 'weekday', lower(dayname(event_date)) AS day, sum(faded), NULL, count(*)
    FROM faded GROUP BY user_id, day
    UNION ALL
    SELECT user_id, 'device', device, sum(faded), NULL, count(*) FROM faded GROUP BY user_id, device
    UNION ALL
    SELECT user_id, 'place', country, sum(faded), NULL, count(*) FROM faded GROUP BY user_id, country
), shared AS (
    SELECT *, score / sum(score) OVER dimensions AS share, recent_score / sum(recent_score) OVER dimensions AS recent_share,
        sum(evidence) OVER dimensions AS known
    FROM pieces, given
    WINDOW dimensions AS (PARTITION BY user_id, dimension)
    QUALIFY row_number() OVER (PARTITION BY user_id, dimension ORDER BY score DESC, key) <= given.keys_kept
)
SELECT user_id, dimension, key, score, share, recent_score, recent_share, evidence,
    (known * share + prior_events * population) / (known + prior_events) / population AS lift
FROM shared LEFT JOIN population USING (dimension, key);
