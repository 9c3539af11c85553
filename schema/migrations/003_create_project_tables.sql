-- the seven project tables: users, repositories, opportunities, preferences, notifications,
-- outcomes, interactions

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public;

CREATE TYPE public.difficulty_level AS ENUM ('beginner', 'intermediate', 'advanced', 'expert');
CREATE TYPE public.contribution_kind AS ENUM
	('bug_fix', 'feature', 'documentation', 'test', 'refactoring', 'design', 'translation', 'other');
CREATE TYPE public.opportunity_status AS ENUM ('open', 'assigned', 'completed', 'stale', 'closed');
CREATE TYPE public.notification_kind AS ENUM
	('new_opportunity', 'match_found', 'status_change', 'reminder', 'system');
CREATE TYPE public.outcome_status AS ENUM
	('started', 'submitted', 'in_review', 'merged', 'rejected', 'abandoned');
CREATE TYPE public.interaction_kind AS ENUM
	('viewed', 'starred', 'forked', 'watched', 'contributed', 'dismissed');

CREATE FUNCTION public.touch_updated_at() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
	NEW.updated_at := now();
	RETURN NEW;
END
$$;

CREATE TABLE public.users (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	github_id bigint UNIQUE,
	username text NOT NULL UNIQUE,
	email text,
	-- Finds a person by address without showing it; ASCII rules, so that every server agrees.
	email_digest bytea GENERATED ALWAYS AS (public.digest(lower(email COLLATE "C"), 'sha256')) STORED,
	display_name text,
	bio text,
	location text,
	skills text[] NOT NULL DEFAULT '{}',
	profile jsonb NOT NULL DEFAULT '{}',
	embedding public.halfvec(1536),
	last_active_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.repositories (
	id uuid PRIMARY KEY DEFAULT public.uuid_generate_v4(),
	github_id bigint UNIQUE,
	full_name text NOT NULL UNIQUE,
	description text,
	url text,
	primary_language text,
	languages jsonb NOT NULL DEFAULT '{}',
	topics text[] NOT NULL DEFAULT '{}',
	stars integer NOT NULL DEFAULT 0 CHECK (stars >= 0),
	forks integer NOT NULL DEFAULT 0 CHECK (forks >= 0),
	health_score numeric(5, 2) CHECK (health_score BETWEEN 0 AND 100),
	is_archived boolean NOT NULL DEFAULT false,
	metadata jsonb NOT NULL DEFAULT '{}',
	embedding public.halfvec(1536),
	last_synced_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.opportunities (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	repository_id uuid NOT NULL REFERENCES public.repositories ON DELETE CASCADE,
	created_by uuid REFERENCES public.users ON DELETE SET NULL,
	title text NOT NULL,
	description text,
	url text UNIQUE,
	kind public.contribution_kind NOT NULL DEFAULT 'other',
	difficulty public.difficulty_level NOT NULL DEFAULT 'intermediate',
	status public.opportunity_status NOT NULL DEFAULT 'open',
	required_skills text[] NOT NULL DEFAULT '{}',
	estimated_hours numeric(6, 1),
	metadata jsonb NOT NULL DEFAULT '{}',
	embedding public.halfvec(1536),
	expires_at date,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.user_preferences (
	user_id uuid PRIMARY KEY REFERENCES public.users ON DELETE CASCADE,
	languages text[] NOT NULL DEFAULT '{}',
	difficulties public.difficulty_level[] NOT NULL DEFAULT '{}',
	kinds public.contribution_kind[] NOT NULL DEFAULT '{}',
	weekly_hours int4range,
	email_notifications boolean NOT NULL DEFAULT true,
	quiet_from time,
	quiet_until time,
	settings jsonb NOT NULL DEFAULT '{}',
	interest_embedding public.halfvec(1536),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.notifications (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id uuid NOT NULL REFERENCES public.users ON DELETE CASCADE,
	opportunity_id uuid REFERENCES public.opportunities ON DELETE SET NULL,
	kind public.notification_kind NOT NULL,
	title text NOT NULL,
	body text,
	payload jsonb,
	read_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.contribution_outcomes (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid NOT NULL REFERENCES public.users ON DELETE CASCADE,
	opportunity_id uuid NOT NULL REFERENCES public.opportunities ON DELETE CASCADE,
	repository_id uuid NOT NULL REFERENCES public.repositories ON DELETE CASCADE,
	status public.outcome_status NOT NULL DEFAULT 'started',
	pull_request_url text,
	lines_added integer,
	lines_removed integer,
	time_spent interval,
	rating smallint CHECK (rating BETWEEN 1 AND 5),
	feedback text,
	merged_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (user_id, opportunity_id)
);

CREATE TABLE public.user_repository_interactions (
	id bigserial PRIMARY KEY,
	user_id uuid NOT NULL REFERENCES public.users ON DELETE CASCADE,
	repository_id uuid NOT NULL REFERENCES public.repositories ON DELETE CASCADE,
	kind public.interaction_kind NOT NULL,
	weight real NOT NULL DEFAULT 1,
	metadata jsonb,
	occurred_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX users_embedding_hnsw ON public.users
	USING hnsw (embedding public.halfvec_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX repositories_embedding_hnsw ON public.repositories
	USING hnsw (embedding public.halfvec_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX opportunities_embedding_hnsw ON public.opportunities
	USING hnsw (embedding public.halfvec_cosine_ops) WITH (m = 16, ef_construction = 64);

CREATE INDEX users_username_trgm ON public.users USING gin (username public.gin_trgm_ops);
CREATE INDEX repositories_full_name_trgm ON public.repositories USING gin (full_name public.gin_trgm_ops);
CREATE INDEX repositories_description_trgm ON public.repositories USING gin (description public.gin_trgm_ops);
CREATE INDEX opportunities_title_trgm ON public.opportunities USING gin (title public.gin_trgm_ops);
CREATE INDEX opportunities_description_trgm ON public.opportunities USING gin (description public.gin_trgm_ops);

CREATE INDEX users_profile ON public.users USING gin (profile jsonb_path_ops);
CREATE INDEX users_skills ON public.users USING gin (skills);
CREATE INDEX repositories_metadata ON public.repositories USING gin (metadata jsonb_path_ops);
CREATE INDEX repositories_topics ON public.repositories USING gin (topics);
CREATE INDEX opportunities_metadata ON public.opportunities USING gin (metadata jsonb_path_ops);

CREATE INDEX users_email_digest ON public.users (email_digest);
CREATE INDEX repositories_stars ON public.repositories (stars DESC) WHERE NOT is_archived;
CREATE INDEX opportunities_repository ON public.opportunities (repository_id);
CREATE INDEX opportunities_open ON public.opportunities (created_at DESC) WHERE status = 'open';
CREATE INDEX notifications_unread ON public.notifications (user_id, created_at DESC) WHERE read_at IS NULL;
CREATE INDEX notifications_opportunity ON public.notifications (opportunity_id);
CREATE INDEX contribution_outcomes_opportunity ON public.contribution_outcomes (opportunity_id);
CREATE INDEX contribution_outcomes_repository ON public.contribution_outcomes (repository_id);
CREATE INDEX user_repository_interactions_user
	ON public.user_repository_interactions (user_id, occurred_at DESC);
CREATE INDEX user_repository_interactions_repository
	ON public.user_repository_interactions (repository_id, kind);

CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.users
	FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.repositories
	FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.opportunities
	FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.user_preferences
	FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.contribution_outcomes
	FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
